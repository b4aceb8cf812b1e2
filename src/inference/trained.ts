import { type Checkpoint, loadWeights, openCheckpoint } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { familyOf } from '../model/index.ts';
import { checkDevice, type Device, dtypeOn } from '../tensor/index.ts';
import { predict } from './fill.ts';
import type { TrainedModel } from './trained-model.ts';

/** How a trained model is opened. */
export interface TrainedOptions {
  /** Hears of newer checkpoints that are broken. */
  warn: (message: string) => void;
  device: Device;
  /** In the precision that it was trained in, as evaluations during the training are; else in float32. */
  asTrained?: boolean;
}

/**
 * Opens the pre-trained model of a checkpoint folder, or of a run's newest whole checkpoint; `warn` hears of newer broken ones.
 * Disposing it frees its tensors.
 *
 * @throws CheckpointError when there is none, it is broken, its model was fine-tuned or predicts nothing but NaN.
 * @throws ConfigError for a device that is not there.
 */
export function openTrained(path: string, { warn, ...how }: TrainedOptions): TrainedModel & Disposable {
  const checkpoint = openCheckpoint(path, warn);
  if (checkpoint.head) {
    throw new CheckpointError(
      `${path}: was fine-tuned and has lost its pre-training head; give the pre-trained model that it was made of`,
    );
  }
  const trained = loadTrained(checkpoint, how);
  checkPredicts(trained);
  return trained;
}

/**
 * Loads the model of a checkpoint with the head that it has. Disposing it frees its tensors.
 *
 * @throws CheckpointError where its weights are broken.
 * @throws ConfigError for a device that is not there.
 */
export function loadTrained(
  checkpoint: Checkpoint,
  { device, asTrained = false }: Omit<TrainedOptions, 'warn'>,
): TrainedModel & Disposable {
  checkDevice(device);
  const { model: sizes, train } = checkpoint.config;
  const weights = loadWeights(checkpoint, sizes, device);
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  const model = familyOf(sizes).create(sizes, weights, asTrained ? dtypeOn(device, train.precision) : 'float32');
  const free = () => {
    for (const weight of weights.values()) weight.free();
  };
  return { checkpoint, tokenizer, model, device, [Symbol.dispose]: free };
}

/**
 * Checks that a pre-trained model predicts numbers.
 *
 * @throws CheckpointError where it predicts nothing but NaN.
 */
export function checkPredicts(trained: TrainedModel): void {
  const { tokenizer, checkpoint } = trained;
  const [[likeliest] = []] = predict(trained, Int32Array.of(tokenizer.sepId), Int32Array.of(0), 1);
  if (!Number.isFinite(likeliest?.probability)) throw predictsNothing(checkpoint);
}

/** Of weights that are finite, but so large that what comes of them is not. */
export function predictsNothing({ path }: Checkpoint): CheckpointError {
  return new CheckpointError(
    `${path}: training had diverged: what this model predicts is not finite; use an earlier checkpoint`,
  );
}
