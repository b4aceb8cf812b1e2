import { CheckpointError } from '../config/index.ts';
import { TextTokenizer } from '../data/index.ts';
import { initialiseParameters, modelOf, type ParameterSpec, type Transformer } from '../model/index.ts';
import type { Device, Tensor } from '../tensor/index.ts';
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

export interface TrainedOptions {
  warn: (message: string) => void;
  device: Device;
}

/**
 * Opens the pre-trained model of a checkpoint folder, or of a run's newest whole checkpoint; `warn` hears of newer broken ones.
 *
 * @throws CheckpointError when there is none, it is broken, or its model was fine-tuned; ConfigError for a device that is
 *   not there.
 */
export function openTrained(path: string, { warn, device }: TrainedOptions): TrainedModel {
  const checkpoint = openCheckpoint(path, warn);
  if (checkpoint.classifier) {
    throw new CheckpointError(`${path}: is a fine-tuned classifier; give the pre-trained model that it was made of`);
  }
  checkDevice(device);
  const { model: sizes, train } = checkpoint.config;
  const weights = loadWeights(checkpoint, sizes, device);
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  return { checkpoint, tokenizer, model: modelOf(sizes, weights, dtypeOf[train.precision]), device };
}

/**
 * The weights that a new run or a fine-tuning begins with: those of a checkpoint, and new ones from the seed of heads that it
 * does not have. They belong to the caller.
 *
 * @throws CheckpointError when a parameter is of another shape in the checkpoint.
 */
export function weightsFrom(
  checkpoint: Checkpoint,
  specs: readonly ParameterSpec[],
  { seed, device }: { seed: number; device: Device },
): Map<string, Tensor> {
  const stored = loadWeights(checkpoint, checkpoint.config.model, device);
  const fresh = initialiseParameters(
    specs.filter(({ name }) => !stored.has(name)),
    seed,
    device,
  );
  const weights = new Map(
    specs.map(({ name, shape }): [string, Tensor] => {
      const weight = (stored.get(name) ?? fresh.get(name))!;
      if (weight.shape.join() === shape.join()) return [name, weight];
      throw new CheckpointError(
        `${checkpoint.path}: ${name} is [${weight.shape.join(', ')}], this model has [${shape.join(', ')}]; take its sizes (--from)`,
      );
    }),
  );
  for (const [name, weight] of stored) if (!weights.has(name)) weight.free();
  return weights;
}
