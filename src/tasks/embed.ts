import { loadWeights, openCheckpoint } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import { checkPredicts } from '../inference/index.ts';
import { embeddings, familyOf, modelInputs, plainEmbedding, unitRows } from '../model/index.ts';
import { checkDevice, type Device, dtypeOn, noGrad, scope } from '../tensor/index.ts';
import { batchOf, predictedTogether, sortedBatches } from './batches.ts';
import { encodeTexts } from './sequences.ts';

/** How texts become vectors. */
export interface EmbedOptions {
  warn: (message: string) => void;
  device: Device;
  /** Tokens of a text at most, of which more are cut; what the model reads without it. */
  maxLength?: number;
  /** How many of its first numbers a vector keeps; all of them without it. */
  dimensions?: number;
}

/** A model that turns texts into vectors. */
export interface Embedder extends Disposable {
  /** D, the numbers of a vector. */
  dimensions: number;
  /** A vector of D numbers for each text. */
  embed(texts: readonly string[]): Promise<Float32Array[]>;
}

/**
 * Opens an encoder that was fine-tuned for embeddings; `warn` hears of one that was only pre-trained, whose vectors are the means over
 * the tokens of each text. Vectors that are cut are scaled to length 1 again where whole ones are.
 *
 * @throws CheckpointError when there is none, it is broken, or it is no encoder or has another head.
 * @throws ConfigError for more dimensions than it has.
 */
export function openEmbedder(path: string, { warn, device, maxLength, dimensions }: EmbedOptions): Embedder {
  const checkpoint = openCheckpoint(path, warn);
  const { config } = checkpoint;
  const { head = plainEmbedding } = checkpoint;
  if (!familyOf(config.model).takesHeads || head.kind !== 'embedding') {
    const what = head.kind === 'embedding' ? `a ${config.model.kind} model` : 'fine-tuned for labels';
    throw new CheckpointError(
      `${path}: is ${what}; give an encoder that is pre-trained, or fine-tuned with npx taper-lm finetune --pairs`,
    );
  }
  const D = config.model.hiddenSize;
  const kept = dimensions ?? D;
  if (kept > D) throw new ConfigError(`--dimensions ${kept}: the vectors of ${path} have ${D}; give fewer`);
  if (kept < D && !head.dimensions.includes(kept)) {
    const trained = head.dimensions.length > 0 ? ` but for ${head.dimensions.join(', ')}` : '';
    warn(`--dimensions ${kept}: the model was not trained for shorter vectors${trained}; they may be much worse`);
  }
  if (!checkpoint.head)
    warn(`${path}: was not fine-tuned for embeddings; taking the mean over the tokens of each text`);
  checkDevice(device);
  const weights = loadWeights(checkpoint, config.model, device);
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  const model = familyOf(config.model).create(config.model, weights, dtypeOn(device, config.train.precision));
  const free = () => {
    for (const weight of weights.values()) weight.free();
  };
  try {
    if (!checkpoint.head) checkPredicts({ checkpoint, tokenizer, model, device });
  } catch (error) {
    free();
    throw error;
  }
  const { padId } = tokenizer;
  const { maxPositions } = config.model;
  const longest = Math.min(maxLength ?? maxPositions, maxPositions);
  return {
    dimensions: kept,
    async embed(texts) {
      const sequences = await encodeTexts(
        texts.map((text) => [text]),
        tokenizer,
        longest,
      );
      const examples = sequences.map((sequence) => ({ sequences: [sequence] }));
      const vectors = new Array<Float32Array>(texts.length);
      for (const batch of sortedBatches(examples, predictedTogether)) {
        const own = batch.map((i) => sequences[i]!);
        const found = scope(() =>
          noGrad(() => {
            const hidden_NTD = model.encode(modelInputs(batchOf(own, { padId, maxPositions }), device));
            const lengths = own.map(({ ids }) => ids.length);
            const whole_ND = embeddings(head, hidden_NTD, lengths);
            if (kept === D) return whole_ND.toFloats();
            const cut_Nd = whole_ND.narrow(1, 0, kept);
            return (head.normalized ? unitRows(cut_Nd) : cut_Nd).toFloats();
          }),
        );
        for (const [row, i] of batch.entries()) vectors[i] = found.slice(row * kept, (row + 1) * kept);
      }
      return vectors;
    },
    [Symbol.dispose]: free,
  };
}
