import { type Checkpoint, openCheckpoint } from '../checkpoints/index.ts';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import { checkPredicts, loadTrained, trainingCommand } from '../inference/index.ts';
import { type EmbeddingHead, embeddings, familyOf, plainEmbedding } from '../model/index.ts';
import type { Device } from '../tensor/index.ts';
import { predict, predictorOf } from './learner.ts';
import { encodeTexts } from './sequences.ts';
import { checkMaxLength } from './settings.ts';
import type { Encoded, Predicting } from './task.ts';

/** How texts are embedded. */
export interface EmbedOptions {
  /** Called for what makes the vectors worse. Default: `console.warn`. */
  warn?: (message: string) => void;
  /** Default: `cpu`. */
  device?: Device;
  /** The maximum number of tokens per text; longer texts are truncated. Default: the model's maximum. */
  maxLength?: number;
  /** How many of its first dimensions a vector keeps. Default: all. */
  dimensions?: number;
}

/** A model that turns texts into vectors. */
export interface Embedder extends Disposable {
  /** D, the dimensions of a vector. */
  dimensions: number;
  /** A vector of D numbers for each text. */
  embed(texts: readonly string[]): Promise<Float32Array[]>;
}

/**
 * Opens an encoder that was fine-tuned for embeddings, by its checkpoint or its folder; `warn` is called for one that was only pre-trained, whose vectors are the
 * means over the tokens of each text. Shortened vectors are scaled to length 1 again if full ones are.
 *
 * @throws CheckpointError if there is none, it is broken, it is not an encoder, or it has another head.
 * @throws ConfigError for a missing device, `dimensions` that are not an integer from 1 to the model's, or a `maxLength` that is not an
 *   integer ≥ 3.
 */
export function openEmbedder(
  of: string | Checkpoint,
  { warn = console.warn, device = 'cpu', maxLength, dimensions }: EmbedOptions = {},
): Embedder {
  const checkpoint = typeof of === 'string' ? openCheckpoint(of, warn) : of;
  const { path, config } = checkpoint;
  const { head = plainEmbedding } = checkpoint;
  if (!familyOf(config.model).takesHeads || head.kind !== 'embedding') {
    const what = head.kind === 'embedding' ? `a ${config.model.kind} model` : 'fine-tuned for labels';
    throw new CheckpointError(
      `${path}: is ${what}; give a pre-trained encoder, or one fine-tuned with npx taper-lm finetune --pairs; this command trains one: ${trainingCommand(checkpoint, 'fill')}`,
    );
  }
  const D = config.model.hiddenSize;
  const kept = dimensions ?? D;
  if (kept > D)
    throw new ConfigError(`--dimensions ${kept}: the vectors of ${path} have ${D} dimensions; give ${D} or fewer`);
  if (!(Number.isInteger(kept) && kept >= 1)) throw new ConfigError(`--dimensions ${kept}: not an integer ≥ 1`);
  if (maxLength !== undefined) checkMaxLength(maxLength);
  if (kept < D && !head.dimensions.includes(kept)) {
    const trained = head.dimensions.length > 0 ? ` other than ${head.dimensions.join(', ')}` : '';
    warn(`--dimensions ${kept}: the model was not trained for shorter vectors${trained}, so these may be much worse`);
  }
  if (!checkpoint.head) warn(`${path}: was not fine-tuned for embeddings; using the mean over the tokens of each text`);
  const trained = loadTrained(checkpoint, { device });
  try {
    if (!checkpoint.head) checkPredicts(trained);
  } catch (error) {
    trained[Symbol.dispose]();
    throw error;
  }
  const { maxPositions } = config.model;
  const kind = vectorKind(head);
  const predictor = predictorOf(trained, kind);
  return {
    dimensions: kept,
    async embed(texts) {
      const encoded = await kind.encode(texts, trained.tokenizer, Math.min(maxLength ?? maxPositions, maxPositions));
      return predict(predictor, encoded).map((vector) => shortened(vector, kept, head));
    },
    [Symbol.dispose]: trained[Symbol.dispose],
  };
}

/** Texts that are embedded as one vector each. */
export function vectorKind(head: EmbeddingHead): Predicting<string, Encoded, Float32Array> {
  return {
    async encode(texts, tokenizer, maxLength) {
      const sequences = await encodeTexts(
        texts.map((text) => [text]),
        tokenizer,
        maxLength,
      );
      return sequences.map((sequence) => ({ sequences: [sequence] }));
    },
    numOutputs: () => 1,
    outputs(_, hidden_NTD, examples) {
      const lengths = examples.map(({ sequences: [text] }) => text!.ids.length);
      return embeddings(head, hidden_NTD, lengths);
    },
    predict: (vector) => vector.slice(),
  };
}

/** The first dimensions of a vector; scaled to length 1 again if the full one is. */
export function shortened(vector: Float32Array, dimensions: number, { normalized }: EmbeddingHead): Float32Array {
  if (dimensions === vector.length) return vector;
  const cut = vector.slice(0, dimensions);
  if (!normalized) return cut;
  const length = Math.sqrt(cut.reduce((sum, x) => sum + x * x, 1e-24));
  return cut.map((x) => x / length);
}
