import { type Device, Tensor } from '../tensor/index.ts';
import type { NamedOptimizer, ParameterState, Updatable } from './optimizer.ts';
import { type OptimizerName, optimizers } from './optimizers.ts';

/** The optimizer state of every parameter, by name. */
export type OptimizerState = Map<string, ParameterState>;

/** The names of the state tensors of a parameter. */
export function slotsOf(optimizer: OptimizerName, { matrices }: Pick<Updatable, 'matrices'>): readonly string[] {
  const { slots, matrices: ofMatrices }: NamedOptimizer = optimizers[optimizer];
  return matrices && ofMatrices ? ofMatrices.slots : slots;
}

/** FLOPs of the update of one parameter. */
export function updateFlops(
  optimizer: OptimizerName,
  { shape, matrices }: Pick<Updatable, 'shape' | 'matrices'>,
): number {
  const { operations, matrices: ofMatrices }: NamedOptimizer = optimizers[optimizer];
  const [rows, columns] = shape as [number, number];
  return matrices && ofMatrices
    ? matrices * ofMatrices.flops(rows / matrices, columns)
    : operations * shape.reduce((a, b) => a * b, 1);
}

/** The optimizer state of a parameter before its first update, or before its values are loaded: zeros. */
export function zeroState(
  optimizer: OptimizerName,
  parameter: Pick<Updatable, 'shape' | 'matrices'>,
  { updates, device }: { updates: number; device: Device },
): ParameterState {
  const zeros = slotsOf(optimizer, parameter).map((slot) => [slot, Tensor.zeros([...parameter.shape], { device })]);
  return { slots: Object.fromEntries(zeros), updates };
}

/** The initial optimizer state of all parameters. */
export function initialState(optimizer: OptimizerName, specs: readonly Updatable[], device: Device): OptimizerState {
  return new Map(specs.map((spec) => [spec.name, zeroState(optimizer, spec, { updates: 0, device })]));
}

/** The tensors of some states, in the order of the slots. */
export function slotTensors(states: Iterable<ParameterState>): Tensor[] {
  return [...states].flatMap(({ slots }) => Object.values(slots));
}
