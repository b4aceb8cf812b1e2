import type { MicroBatch } from '../data/index.ts';
import { evaluate } from '../inference/index.ts';
import type { Transformer } from '../model/index.ts';
import type { Device } from '../tensor/index.ts';

/** The losses of a model with blocks removed, in nats. */
export interface Lesions {
  /** Of the whole model. */
  loss: number;
  /** With only block l removed: L numbers, from the lowest block up. */
  withoutBlock: number[];
  /** Without the last k blocks, k = 1 … L. */
  withoutLast: number[];
}

/** The lesion study: the loss on some batches with block l removed, and with the last k removed; nothing is scaled. */
export function lesions(model: Transformer, batches: readonly MicroBatch[], device: Device): Lesions {
  const { layers } = model.config;
  const blocks = Array.from({ length: layers }, (_, l) => l);
  const branchScales = blocks.map(() => 1);
  const lossWith = (isOn: (l: number) => boolean) =>
    evaluate(model, batches, device, { pass: { gates: blocks.map(isOn), branchScales } }).loss;
  return {
    loss: lossWith(() => true),
    withoutBlock: blocks.map((removed) => lossWith((l) => l !== removed)),
    withoutLast: blocks.map((k) => lossWith((l) => l < layers - 1 - k)),
  };
}
