import type { Device, Dtype } from './tensor.ts';

/** The precision of matrix products and attention, by its name in a configuration. Weights and moments are float32. */
export const dtypeOf = {
  fp32: 'float32',
  bf16: 'bfloat16',
  fp16: 'float16',
} as const satisfies Record<string, Dtype>;

/** A name that `train.precision` takes. */
export type Precision = keyof typeof dtypeOf;

/** The dtype on a device for a model that was trained in `precision`: float16 models run in float32 on the CPU. */
export function dtypeOn(device: Device, precision: Precision): Dtype {
  return precision === 'fp16' && device === 'cpu' ? 'float32' : dtypeOf[precision];
}
