import { CheckpointError, ConfigError } from '../errors/index.ts';
import {
  familyOf,
  initialiseParameters,
  type ModelConfig,
  type ParameterSpec,
  parameterSpecs,
} from '../model/index.ts';
import type { Device, Tensor } from '../tensor/index.ts';
import { type Checkpoint, loadWeights } from './checkpoint.ts';

/** The initial weights of a new run or a fine-tuning. */
export interface InitialWeights {
  /** They belong to the caller. */
  weights: Map<string, Tensor>;
  /** The names of those that are randomly initialised. */
  fresh: string[];
}

/** The settings, besides shapes, that decide what a model computes with its weights. */
const meanings = ['kind', 'norm', 'heads', 'activation', 'layerNormEpsilon'] as const;

/**
 * Checks that a checkpoint's weights mean the same in a model: its family, norm, heads, activation and epsilon.
 *
 * @throws ConfigError if one of them differs; names the key and both values.
 */
export function checkSameModel(checkpoint: Checkpoint, model: ModelConfig): void {
  const theirs = checkpoint.config.model;
  const text = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : `${value}`);
  const other = [...meanings, ...familyOf(model).takes].find((key) => text(theirs[key]) !== text(model[key]));
  if (other === undefined) return;
  throw new ConfigError(
    `model.${other}: ${text(model[other])}, but ${checkpoint.path} has ${text(theirs[other])}; use its model with --from`,
  );
}

/**
 * The weights of a checkpoint for a new run or a fine-tuning; heads that it lacks are initialised from the seed.
 *
 * @throws CheckpointError when its embeddings or blocks do not match the parameters.
 */
export function weightsFrom(
  checkpoint: Checkpoint,
  specs: readonly ParameterSpec[],
  { seed, device }: { seed: number; device: Device },
): InitialWeights {
  const stored = loadWeights(checkpoint, checkpoint.config.model, device);
  // Another task has another classifier, even with the same number of labels.
  for (const [name, weight] of stored) {
    if (!name.startsWith('classifier.')) continue;
    stored.delete(name);
    weight.free();
  }
  // Parameters that belong to the model itself rather than to a head.
  const { model } = checkpoint.config;
  const { prefix } = familyOf(model);
  const ofHeads = [...parameterSpecs(model, checkpoint.head), ...specs].filter(({ forPairs }) => forPairs);
  const isTrunk = (name: string) => name.startsWith(prefix) && !ofHeads.some((spec) => spec.name === name);
  const wanted = new Map(specs.map((spec) => [spec.name, spec]));
  for (const name of new Set([...stored.keys(), ...wanted.keys()])) {
    const [theirs, ours] = [stored.get(name)?.shape, wanted.get(name)?.shape];
    if (theirs?.join() === ours?.join() || (!isTrunk(name) && !(theirs && ours))) continue;
    const text = (shape: readonly number[] | undefined) => (shape ? `[${shape.join(', ')}]` : 'no tensor');
    throw new CheckpointError(
      `${checkpoint.path}: has ${text(theirs)} for ${name}, but this model has ${text(ours)}; use its sizes with --from`,
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
