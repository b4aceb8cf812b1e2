import { type Checkpoint, loadWeights, openCheckpoint } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { checkPredicts } from '../inference/index.ts';
import { familyOf, type ModelConfig, type Transformer, type Weights } from '../model/index.ts';

/** A model to export: its checkpoint, and its weights as they will be written. */
export interface OutgoingModel {
  checkpoint: Checkpoint;
  /** Of the checkpoint, or of its remaining blocks. */
  config: ModelConfig;
  /** float32, on the CPU; they belong to the caller. */
  weights: Weights;
  /** If blocks were removed: the held-out loss with all of them, and without. */
  lossWithAll?: number;
  loss?: number;
}

/**
 * Opens the model of a checkpoint, pre-trained or fine-tuned.
 *
 * @throws CheckpointError when there is none, it is broken, or it predicts only NaN.
 */
export function openOutgoing(path: string, warn: (message: string) => void): OutgoingModel {
  const checkpoint = openCheckpoint(path, warn);
  const config = checkpoint.config.model;
  const model = { checkpoint, config, weights: loadWeights(checkpoint, config, 'cpu') };
  if (checkpoint.head === undefined) {
    const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
    checkPredicts({ checkpoint, tokenizer, model: runnable(model), device: 'cpu' });
  }
  return model;
}

/** The model in float32. */
export function runnable({ config, weights }: OutgoingModel): Transformer {
  return familyOf(config).create(config, weights, 'float32');
}

/** A model with only these of its blocks, in their order. */
export function withBlocks(model: OutgoingModel, kept: readonly number[]): OutgoingModel {
  const { config, weights } = model;
  const prefixOf = (l: number) => familyOf(config).blockPrefix(config, l);
  const prefixes = Array.from({ length: config.layers }, (_, l) => prefixOf(l));
  const left = new Map(
    Array.from(weights).flatMap(([name, weight]) => {
      const l = prefixes.findIndex((prefix) => name.startsWith(prefix));
      if (l < 0) return [[name, weight] as const];
      const place = kept.indexOf(l);
      return place < 0 ? [] : [[prefixOf(place) + name.slice(prefixes[l]!.length), weight] as const];
    }),
  );
  const { withBlocks } = familyOf(config);
  return { ...model, config: { ...(withBlocks?.(config, kept) ?? config), layers: kept.length }, weights: left };
}

/** The indices of `count` blocks, spread evenly from the first to the last. */
export function evenly(layers: number, count: number): number[] {
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.round((i * (layers - 1)) / (count - 1)));
}

/** The indices of the `count` blocks whose removal, one at a time, costs most. */
export function leastHarmful(withoutBlock: readonly number[], count: number): number[] {
  const byHarm = [...withoutBlock.keys()].sort((a, b) => withoutBlock[b]! - withoutBlock[a]! || a - b);
  return byHarm.slice(0, count).sort((a, b) => a - b);
}

/**
 * Checks that a decoder is not exported without its output layer.
 *
 * @throws CheckpointError if it is.
 */
export function checkWhole({ checkpoint, config }: OutgoingModel, encoderOnly: boolean): void {
  if (!encoderOnly || !familyOf(config).isCausal) return;
  throw new CheckpointError(
    `${checkpoint.path}: is a ${config.kind} model, which has no separate encoder; leave out --encoder-only`,
  );
}
