import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { specialIdsOf } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { makeFolder, writing } from '../../files/index.ts';
import { familyOf, type Head, headKinds, type ModelConfig, plainEmbedding, type Weights } from '../../model/index.ts';
import { newFolder, writeDescription } from '../export-hf.ts';
import { checkWhole, type OutgoingModel } from '../model.ts';
import { writeSentenceTransformers } from '../sentence-transformers.ts';
import { bert } from './bert.ts';
import { decoderGraph, type OnnxDecoder } from './decoder.ts';
import { encoderGraph, type OnnxEncoder } from './encoder.ts';
import { type OnnxGraph, onnxFile } from './file.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { modernbert } from './modernbert.ts';
import { type Precision, precisions } from './precision.ts';

/** How models of a family are exported. */
interface OnnxFamily {
  /** Fields of `config.json` that differ from those for `transformers`. */
  json(head: Head | undefined): object;
  graph(config: ModelConfig, weights: Weights, form: { head: Head | undefined; precision: Precision }): OnnxGraph;
}

const encoder = (family: OnnxEncoder): OnnxFamily => ({
  json: (head) => ({
    model_type: family.type,
    architectures: [`${family.classes}${head ? headKinds[head.kind].architecture : 'ForMaskedLM'}`],
  }),
  graph: (config, weights, form) => encoderGraph(family, config, weights, form),
});

const decoder = (family: OnnxDecoder): OnnxFamily => ({
  json: () => ({}),
  graph: (config, weights, { precision }) => decoderGraph(family, config, weights, { name: config.kind, precision }),
});

/** Families with an ONNX graph. */
const onnxFamilies: Readonly<Record<string, OnnxFamily>> = {
  bert: encoder(bert),
  modernbert: encoder(modernbert),
  gpt2: decoder(gpt2),
  llama: decoder(llama),
};

/** The size limit of an ONNX file in bytes, which is that of protocol buffers. */
const mostBytes = 2 ** 31;

const meanOnly: Head = { ...plainEmbedding, normalized: false };

/**
 * Writes a folder that `onnxruntime` runs and transformers.js opens as a pipeline: in `onnx/`, the graph in float32, in float16,
 * and with 8-bit and 4-bit weights; beside it the tokenizer and the configuration. A pre-trained encoder fills masks, or gives
 * embeddings with `encoderOnly`; a fine-tuned one does what it was fine-tuned for; a decoder continues prompts. Returns the bytes
 * of each graph.
 *
 * @throws CheckpointError for a family without a graph, a model of more than 2 GB, and a decoder with `encoderOnly`.
 * @throws OutputError when the folder already exists or cannot be written.
 */
export function exportOnnx(
  model: OutgoingModel,
  out: string,
  { encoderOnly }: { encoderOnly: boolean },
): Record<string, number> {
  const { checkpoint, config, weights } = model;
  const family = onnxFamilies[config.kind];
  if (family === undefined) {
    throw new CheckpointError(
      `${checkpoint.path}: a ${config.kind} model cannot be exported to ONNX (only ${Object.keys(onnxFamilies).join(', ')}); export it with --to hf`,
    );
  }
  checkWhole(model, encoderOnly);
  const bytes = [...weights.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (bytes >= mostBytes) {
    throw new CheckpointError(
      `${checkpoint.path}: has ${(bytes / 1e9).toFixed(1)} GB of weights, but an ONNX file holds at most 2.1; export it with --to hf`,
    );
  }
  const head = encoderOnly && checkpoint.head?.kind !== 'embedding' ? meanOnly : checkpoint.head;
  newFolder(out);
  writing(out, () => makeFolder(join(out, 'onnx')));
  for (const precision of Object.values(precisions)) {
    const path = join(out, precision.file);
    writing(path, () => writeFileSync(path, onnxFile(family.graph(config, weights, { head, precision }))));
  }
  const specialIds = specialIdsOf(checkpoint.tokenizerJson);
  const json = { ...familyOf(config).huggingFace.write(config, { head, specialIds }), ...family.json(head) };
  writeDescription(model, out, { json, encoderOnly, library: 'transformers.js' });
  if (head?.kind === 'embedding' && head !== meanOnly) writeSentenceTransformers(out, head, config);
  return Object.fromEntries(Object.values(precisions).map(({ file }) => [file, statSync(join(out, file)).size]));
}
