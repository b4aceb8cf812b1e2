import { type Checkpoint, loadWeights, openCheckpoint } from '../checkpoints/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, commandText } from '../errors/index.ts';
import { familyOf } from '../model/index.ts';
import { checkDevice, type Device, dtypeOn } from '../tensor/index.ts';
import { predict } from './fill.ts';
import type { TrainedModel } from './trained-model.ts';

/** How a trained model is opened. */
export interface TrainedOptions {
  /** Called for newer checkpoints that are broken. Default: `console.warn`. */
  warn?: (message: string) => void;
  /** Default: `cpu`. */
  device?: Device;
  /** Whether to use the precision of training, as evaluations during training do; otherwise float32. */
  asTrained?: boolean;
}

/**
 * Opens the pre-trained model of a checkpoint, or of its folder, or of a run's newest whole checkpoint; `warn` is called for newer
 * broken ones. Disposing it frees its tensors.
 *
 * @throws CheckpointError when there is none, it is broken, or its model was fine-tuned or predicts only NaN.
 * @throws ConfigError for a missing device.
 */
export function openTrained(
  of: string | Checkpoint,
  { warn = console.warn, ...how }: TrainedOptions = {},
): TrainedModel & Disposable {
  const checkpoint = typeof of === 'string' ? openCheckpoint(of, warn) : of;
  if (checkpoint.head) {
    const { path } = checkpoint;
    const [what, ...use] =
      checkpoint.head.kind === 'embedding'
        ? ['for embeddings', 'embed', path, '--in', 'my/texts.txt', '--out', 'vectors.npy']
        : ['for labels', 'predict', path, 'A text of yours.'];
    throw new CheckpointError(
      `${path}: was fine-tuned ${what}, and no longer predicts tokens; use ${commandText(['npx', 'taper-lm', ...use])}, or give a model that was only pre-trained`,
    );
  }
  const trained = loadTrained(checkpoint, how);
  checkPredicts(trained);
  return trained;
}

/**
 * Loads the model of a checkpoint with its head. Disposing it frees its tensors.
 *
 * @throws CheckpointError if its weights are broken.
 * @throws ConfigError for a missing device.
 */
export function loadTrained(
  checkpoint: Checkpoint,
  { device = 'cpu', asTrained = false }: Omit<TrainedOptions, 'warn'>,
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
 * Checks that a pre-trained model predicts finite numbers.
 *
 * @throws CheckpointError if it predicts only NaN.
 */
export function checkPredicts(trained: TrainedModel): void {
  const { tokenizer, checkpoint } = trained;
  const [[likeliest] = []] = predict(trained, Int32Array.of(tokenizer.sepId), Int32Array.of(0), 1);
  if (!Number.isFinite(likeliest?.probability)) throw predictsNothing(checkpoint);
}

/** For weights that are finite, but so large that the outputs are not. */
export function predictsNothing({ path }: Checkpoint): CheckpointError {
  return new CheckpointError(
    `${path}: training had diverged: the predictions of this model are not finite; use an earlier checkpoint`,
  );
}
