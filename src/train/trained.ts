import { TextTokenizer } from '../data/index.ts';
import { modelOf, type Transformer } from '../model/index.ts';
import type { Device } from '../tensor/index.ts';
import { type Checkpoint, loadWeights, openCheckpoint } from './checkpoint.ts';
import { checkDevice } from './device.ts';
import { dtypeOf } from './precision.ts';

/** A model out of a checkpoint, ready to be used. Its tensors belong to the caller. */
export interface TrainedModel {
  checkpoint: Checkpoint;
  tokenizer: TextTokenizer;
  /** In the precision that it was trained in. */
  model: Transformer;
  device: Device;
}

/**
 * Opens the model of a checkpoint folder, or of a run's newest whole checkpoint; `warn` hears of newer broken ones.
 *
 * @throws CheckpointError when there is none, or it is broken; ConfigError for a device that is not there.
 */
export function openTrained(path: string, { warn, device }: TrainedOptions): TrainedModel {
  const checkpoint = openCheckpoint(path, warn);
  checkDevice(device);
  const { model: sizes, train } = checkpoint.config;
  const weights = loadWeights(checkpoint, sizes, device);
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  return { checkpoint, tokenizer, model: modelOf(sizes, weights, dtypeOf[train.precision]), device };
}

export interface TrainedOptions {
  warn: (message: string) => void;
  device: Device;
}
