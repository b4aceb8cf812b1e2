import { CheckpointError } from '../errors/index.ts';
import type { ParameterSpec, Weights } from '../model/index.ts';
import { type OptimizerState, slotTensors } from '../optimizers/index.ts';
import { type Device, readSafetensors, scope, Tensor, writeSafetensors } from '../tensor/index.ts';

/** Whether all weights and optimizer moments are finite; a norm above 1.8e19, which float32 cannot square, counts as not finite. */
export function areFinite(weights: Weights, optimizer: OptimizerState = new Map()): boolean {
  return scope(() =>
    Number.isFinite(Tensor.globalNorm([...weights.values(), ...slotTensors(optimizer.values())]).item()),
  );
}

/** Writes the weights of a model in the layout of Hugging Face's files. */
export function writeWeights(path: string, specs: readonly ParameterSpec[], weights: Weights): void {
  scope(() => {
    const turned = specs.map(({ name, transposedInFiles }): [string, Tensor] => {
      const weight = weights.get(name)!.detach();
      return [name, transposedInFiles ? weight.transpose(0, 1) : weight];
    });
    writeSafetensors(path, new Map(turned));
  });
}

/**
 * The float32 weights of a model from a file; they belong to the caller.
 *
 * @throws CheckpointError when they are not those of the model; names the first tensor that differs.
 */
export function readWeights(path: string, specs: readonly ParameterSpec[], device: Device): Map<string, Tensor> {
  return takeWeights(path, specs, readSafetensors(path, device));
}

/**
 * The same from the tensors of a file, which are freed unless they are the weights themselves.
 *
 * @throws CheckpointError when they are not those of the model; names the first tensor that differs.
 */
export function takeWeights(
  path: string,
  specs: readonly ParameterSpec[],
  found: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const weights = new Map(
    specs.map(({ name, shape, transposedInFiles }) => {
      const tensor = found.get(name);
      const expected = transposedInFiles ? shape.toReversed() : shape;
      if (tensor?.shape.join() !== expected.join()) {
        const what = tensor ? `is [${tensor.shape.join(', ')}]` : 'is missing';
        throw new CheckpointError(
          `${path}: ${name} ${what}, but this model has [${expected.join(', ')}]; use the checkpoint's model settings`,
        );
      }
      return [name, transposedInFiles ? turn(tensor) : tensor];
    }),
  );
  const unknown = [...found.keys()].find((name) => !weights.has(name));
  if (unknown !== undefined) {
    throw new CheckpointError(`${path}: ${unknown} is not in this model; use the checkpoint's model settings`);
  }
  return weights;
}

/** Weights on a device; the given ones are freed. */
export function onDevice(weights: Weights, device: Device): Map<string, Tensor> {
  return new Map(
    Array.from(weights, ([name, weight]) => {
      using original = weight;
      return [name, original.toDevice(device)];
    }),
  );
}

/** The transpose of a matrix, which is freed, in memory of its own. */
function turn(matrix: Tensor): Tensor {
  using original = matrix;
  using view = original.transpose(0, 1);
  using flat = view.reshape([-1]);
  return flat.reshape(view.shape);
}
