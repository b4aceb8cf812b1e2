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

/** What a new run or a fine-tuning begins with. */
export interface InitialWeights {
  /** They belong to the caller. */
  weights: Map<string, Tensor>;
  /** The names of those that are new. */
  fresh: string[];
}

/** What a model computes with its weights, beside their shapes. */
const meanings = ['kind', 'norm', 'heads', 'activation', 'layerNormEpsilon'] as const;

/**
 * Checks that a checkpoint's weights mean the same in a model: its family, norm, heads, activation and epsilon.
 *
 * @throws ConfigError where one of them differs: with the key and both values.
 */
export function checkSameModel(checkpoint: Checkpoint, model: ModelConfig): void {
  const theirs = checkpoint.config.model;
  const text = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : `${value}`);
  const other = [...meanings, ...familyOf(model).takes].find((key) => text(theirs[key]) !== text(model[key]));
  if (other === undefined) return;
  throw new ConfigError(
    `model.${other}: ${text(model[other])}, and ${checkpoint.path} has ${text(theirs[other])}; take over its model with --from`,
  );
}

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
  // Parameters that belong to the model itself and not to a head.
  const { model } = checkpoint.config;
  const { prefix } = familyOf(model);
  const ofHeads = [...parameterSpecs(model, checkpoint.head), ...specs].filter(({ forPairs }) => forPairs);
  const isTrunk = (name: string) => name.startsWith(prefix) && !ofHeads.some((spec) => spec.name === name);
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
