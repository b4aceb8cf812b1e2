import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWeights } from '../checkpoints/index.ts';
import { specialIdsOf } from '../data/index.ts';
import { OutputError } from '../errors/index.ts';
import { makeFolder, writing } from '../files/index.ts';
import { familyOf, parameterSpecs, plainEmbedding } from '../model/index.ts';
import { type CardOptions, modelCard, pipelineOf } from './card.ts';
import type { OutgoingModel } from './model.ts';
import { writeSentenceTransformers } from './sentence-transformers.ts';
import { tokenizerConfig } from './tokenizer-class.ts';

/** The folder that an export writes; it must not exist, so that nothing is mixed or lost. */
export function newFolder(out: string): void {
  if (existsSync(out)) throw new OutputError(`${out}: already exists; give a new folder`);
  writing(out, () => makeFolder(out));
}

/**
 * Writes a folder that Hugging Face's `transformers` opens: with the pre-training heads or the classifier; for an embedding
 * model, or with `encoderOnly`, the bare encoder (`BertModel`, `ModernBertModel`), whose tensors have no prefix. The folder of an
 * embedding model also opens in Python's sentence-transformers.
 *
 * @throws OutputError when the folder already exists or cannot be written.
 */
export function exportHuggingFace(model: OutgoingModel, out: string, { encoderOnly }: { encoderOnly: boolean }): void {
  const { checkpoint, config, weights } = model;
  const head = encoderOnly && checkpoint.head?.kind !== 'embedding' ? plainEmbedding : checkpoint.head;
  newFolder(out);
  const specs = parameterSpecs(config, checkpoint.head);
  const hf = familyOf(config).huggingFace.write(config, {
    head,
    specialIds: specialIdsOf(checkpoint.tokenizerJson),
  });
  if (head?.kind === 'embedding') {
    const { prefix } = familyOf(config);
    const trunk = specs.filter(({ name }) => name.startsWith(prefix));
    const bare = (name: string) => name.slice(prefix.length);
    const bareSpecs = trunk.map((spec) => ({ ...spec, name: bare(spec.name) }));
    writeWeights(
      join(out, 'model.safetensors'),
      bareSpecs,
      new Map(trunk.map(({ name }) => [bare(name), weights.get(name)!])),
    );
    if (head === checkpoint.head) writeSentenceTransformers(out, head, config);
  } else writeWeights(join(out, 'model.safetensors'), specs, weights);
  writeDescription(model, out, { json: hf, encoderOnly, library: 'transformers' });
}

/** Where texts are truncated: as in the fine-tuning of a classifier that does not read the rest in windows. */
function truncationOf(model: OutgoingModel, card: CardOptions): number | undefined {
  const { input } = model.checkpoint;
  return pipelineOf(model, card) === 'text-classification' && input?.windows === 1 ? input.maxLength : undefined;
}

/** Writes what accompanies the weights or graphs of a model: its configuration, its tokenizer and its card. */
export function writeDescription(
  model: OutgoingModel,
  out: string,
  { json, ...card }: CardOptions & { json: object },
): void {
  const { checkpoint, config } = model;
  const write = (name: string, text: string) => writing(join(out, name), () => writeFileSync(join(out, name), text));
  const text = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  write('config.json', text(json));
  write('tokenizer.json', checkpoint.tokenizerJson);
  write('tokenizer_config.json', text(tokenizerConfig(checkpoint.tokenizerJson, config, truncationOf(model, card))));
  write('README.md', modelCard(model, card));
}
