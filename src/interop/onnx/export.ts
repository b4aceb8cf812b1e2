import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { specialIdsOf } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { makeFolder, writing } from '../../files/index.ts';
import { familyOf, type Head, headKinds, plainEmbedding } from '../../model/index.ts';
import { modelCard } from '../card.ts';
import { newFolder } from '../export-hf.ts';
import type { OutgoingModel } from '../model.ts';
import { writeSentenceTransformers } from '../sentence-transformers.ts';
import { tokenizerConfig } from '../tokenizer-class.ts';
import { bert } from './bert.ts';
import { encoderGraph, type OnnxEncoder } from './encoder.ts';
import { onnxFile } from './file.ts';
import { modernbert } from './modernbert.ts';

/** The files of an export, by what transformers.js calls their precision. */
export const onnxFiles = { fp32: 'onnx/model.onnx', q8: 'onnx/model_quantized.onnx' } as const;

/** The families that can be said in ONNX. */
const encoders: Readonly<Record<string, OnnxEncoder>> = { bert, modernbert };

const meanOnly: Head = { ...plainEmbedding, normalized: false };

/**
 * Writes a folder that `onnxruntime` runs and transformers.js opens as a pipeline: `onnx/model.onnx` in float32,
 * `onnx/model_quantized.onnx` in 8 bits, the tokenizer and the configuration. A pre-trained model fills masks, or gives embeddings
 * with `encoderOnly`; a fine-tuned one classifies. Returns the bytes of each file.
 *
 * @throws CheckpointError for a model that is no encoder.
 * @throws OutputError when the folder already exists or cannot be written.
 */
export function exportOnnx(
  model: OutgoingModel,
  out: string,
  { encoderOnly }: { encoderOnly: boolean },
): Record<string, number> {
  const { checkpoint, config, weights } = model;
  const family = encoders[config.kind];
  if (family === undefined) {
    throw new CheckpointError(
      `${checkpoint.path}: is a ${config.kind} model; only encoders (${Object.keys(encoders).join(', ')}) go to ONNX, others with --to hf`,
    );
  }
  const head = encoderOnly && checkpoint.head?.kind !== 'embedding' ? meanOnly : checkpoint.head;
  newFolder(out);
  const write = (name: string, content: string | Uint8Array) =>
    writing(join(out, name), () => writeFileSync(join(out, name), content));
  writing(out, () => makeFolder(join(out, 'onnx')));
  for (const [precision, file] of Object.entries(onnxFiles)) {
    write(file, onnxFile(encoderGraph(family, config, weights, { head, quantised: precision === 'q8' })));
  }
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const architecture = `${family.classes}${head ? headKinds[head.kind].architecture : 'ForMaskedLM'}`;
  const known = { model_type: family.type, architectures: [architecture] };
  const specialIds = specialIdsOf(checkpoint.tokenizerJson);
  const hf = familyOf(config).huggingFace.write(config, {
    head,
    specialIds,
  });
  write('config.json', json({ ...hf, ...known }));
  write('tokenizer.json', checkpoint.tokenizerJson);
  write('tokenizer_config.json', json(tokenizerConfig(checkpoint.tokenizerJson, config)));
  if (head?.kind === 'embedding' && head !== meanOnly) writeSentenceTransformers(out, head, config);
  write('README.md', modelCard(model, { encoderOnly, library: 'transformers.js' }));
  return Object.fromEntries(Object.values(onnxFiles).map((file) => [file, statSync(join(out, file)).size]));
}
