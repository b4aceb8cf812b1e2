import type { Dtype } from '../tensor/index.ts';

/** The precision of matrix products and attention, by its name in a configuration. Weights and moments are float32. */
export const dtypeOf = { fp32: 'float32', bf16: 'bfloat16' } as const satisfies Record<string, Dtype>;
