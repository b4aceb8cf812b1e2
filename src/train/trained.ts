import { TextTokenizer } from '../data/index.ts';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import {
  familyOf,
  initialiseParameters,
  type ModelConfig,
  type ParameterSpec,
  type Transformer,
} from '../model/index.ts';
import type { Device, Tensor } from '../tensor/index.ts';
import { type Checkpoint, loadWeights, openCheckpoint } from './checkpoint.ts';
import { checkDevice } from './device.ts';
import { predict } from './fill.ts';
import { dtypeOn } from './precision.ts';

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
 * @throws CheckpointError when there is none, it is broken, its model was fine-tuned or predicts nothing but NaN; ConfigError
 *   for a device that is not there.
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
  const model = familyOf(sizes).create(sizes, weights, dtypeOn(device, train.precision));
  const trained = { checkpoint, tokenizer, model, device };
  checkPredicts(trained);
  return trained;
}

/** Throws a CheckpointError for a pre-trained model that predicts nothing but NaN. */
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

/** What a new run or a fine-tuning begins with. */
export interface InitialWeights {
  /** They belong to the caller. */
  weights: Map<string, Tensor>;
  /** The names of those that are new. */
  fresh: string[];
}

/** What a model computes with its weights, beside their shapes. */
const meanings = ['kind', 'norm', 'heads', 'activation', 'layerNormEpsilon'] as const;

/** Throws a ConfigError where a checkpoint's weights would mean something else in a model. */
export function checkSameModel(checkpoint: Checkpoint, model: ModelConfig): void {
  const theirs = checkpoint.config.model;
  const other = meanings.find((key) => theirs[key] !== model[key]);
  if (other === undefined) return;
  throw new ConfigError(
    `model.${other}: ${model[other]}, and ${checkpoint.path} has ${theirs[other]}; take over its model with --from`,
  );
}

/** Parameters that belong to the model itself and not to a head. */
const isTrunk = (name: string) => /^(transformer|bert\.(embeddings|encoder))\./.test(name);

/**
 * The weights of a checkpoint for a new run or a fine-tuning, and new ones from the seed of heads that it does not have.
 *
 * @throws CheckpointError when its embeddings or blocks are not those of the parameters.
 */
export function weightsFrom(
  checkpoint: Checkpoint,
  specs: readonly ParameterSpec[],
  { seed, device }: { seed: number; device: Device },
): InitialWeights {
  const stored = loadWeights(checkpoint, checkpoint.config.model, device);
  // Another task has another classifier, even where it has as many labels.
  for (const [name, weight] of stored) {
    if (!name.startsWith('classifier.')) continue;
    stored.delete(name);
    weight.free();
  }
  const wanted = new Map(specs.map((spec) => [spec.name, spec]));
  for (const name of new Set([...stored.keys(), ...wanted.keys()])) {
    const [theirs, ours] = [stored.get(name)?.shape, wanted.get(name)?.shape];
    if (theirs?.join() === ours?.join() || (!isTrunk(name) && !(theirs && ours))) continue;
    const text = (shape: readonly number[] | undefined) => (shape ? `[${shape.join(', ')}]` : 'no such tensor');
    throw new CheckpointError(
      `${checkpoint.path}: has ${text(theirs)} as ${name}, and this model ${text(ours)}; take over its sizes with --from`,
    );
  }
  const missing = specs.filter(({ name }) => !stored.has(name));
  const fresh = initialiseParameters(missing, seed, device);
  for (const [name, weight] of stored) if (!wanted.has(name)) weight.free();
  return {
    weights: new Map(specs.map(({ name }) => [name, (stored.get(name) ?? fresh.get(name))!])),
    fresh: [...fresh.keys()],
  };
}
