import { type Device, Tensor } from '../tensor/index.ts';
import type { ParameterState } from './optimizer.ts';
import { type OptimizerName, optimizers } from './optimizers.ts';

/** What an optimizer remembers of every parameter, by name. */
export type OptimizerState = Map<string, ParameterState>;

/** What an optimizer remembers of a parameter of a shape that it has not updated, or makes room for: zeros. */
export function zeroState(
  optimizer: OptimizerName,
  shape: readonly number[],
  { updates, device }: { updates: number; device: Device },
): ParameterState {
  const zeros = optimizers[optimizer].slots.map((slot) => [slot, Tensor.zeros([...shape], { device })]);
  return { slots: Object.fromEntries(zeros), updates };
}

/** Fresh state of each parameter. */
export function initialState(optimizer: OptimizerName, parameters: ReadonlyMap<string, Tensor>): OptimizerState {
  return new Map(
    Array.from(parameters, ([name, { shape, device }]) => [name, zeroState(optimizer, shape, { updates: 0, device })]),
  );
}

/** The tensors of some states, in the order of the slots. */
export function slotTensors(states: Iterable<ParameterState>): Tensor[] {
  return [...states].flatMap(({ slots }) => Object.values(slots));
}
