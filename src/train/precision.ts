import type { Config } from '../config/index.ts';
import type { Device, Dtype } from '../tensor/index.ts';

export type Precision = Config['train']['precision'];

/** The precision of matrix products and attention, by its name in a configuration. Weights and moments are float32. */
export const dtypeOf = {
  fp32: 'float32',
  bf16: 'bfloat16',
  fp16: 'float16',
} as const satisfies Record<Precision, Dtype>;

/** That of a model which was trained in `precision`, on another device: a processor does not multiply float16. */
export function dtypeOn(device: Device, precision: Precision): Dtype {
  return precision === 'fp16' && device === 'cpu' ? 'float32' : dtypeOf[precision];
}

/** The scale of the loss in fp16, and for how many steps in a row it has been good. */
export interface LossScale {
  scale: number;
  goodSteps: number;
}

export const initialLossScale: LossScale = { scale: 2 ** 16, goodSteps: 0 };

/** So many good steps double the scale, up to the most. */
const growthInterval = 2000;
const mostLossScale = 2 ** 24;

/**
 * Dynamic loss scaling: halved after a step whose gradients were not finite, down to 1; doubled after 2,000 steps in a row that
 * were, up to 2²⁴.
 *
 * Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; the numbers are those of PyTorch's GradScaler.
 */
export function nextLossScale({ scale, goodSteps }: LossScale, isGood: boolean): LossScale {
  if (!isGood) return { scale: Math.max(1, scale / 2), goodSteps: 0 };
  if (goodSteps + 1 < growthInterval) return { scale, goodSteps: goodSteps + 1 };
  return { scale: Math.min(mostLossScale, 2 * scale), goodSteps: 0 };
}
