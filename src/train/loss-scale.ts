import type { LossScale } from '../checkpoints/index.ts';

export const initialLossScale: LossScale = { scale: 2 ** 16, goodSteps: 0 };

/** Good steps in a row after which the scale is doubled. */
const growthInterval = 2000;
const mostLossScale = 2 ** 24;

/**
 * Dynamic loss scaling: halved after a step whose gradients were not finite, down to 1; doubled after 2,000 finite steps in a
 * row, up to 2²⁴.
 *
 * Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; the numbers are those of PyTorch's GradScaler.
 */
export function nextLossScale({ scale, goodSteps }: LossScale, isGood: boolean): LossScale {
  if (!isGood) return { scale: Math.max(1, scale / 2), goodSteps: 0 };
  if (goodSteps + 1 < growthInterval) return { scale, goodSteps: goodSteps + 1 };
  return { scale: Math.min(mostLossScale, 2 * scale), goodSteps: 0 };
}
