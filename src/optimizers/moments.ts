import type { OptimizerSettings, Update } from './optimizer.ts';

/** The state of AdamW and LAMB for a parameter: m, the running mean of the gradient, and v, that of its square. */
export const moments = ['moment', 'variance'] as const;

/** An update with its moments and their bias corrections: `1 − βᵗ`, or 1. */
export function withMoments(
  { parameter, gradient, weightDecay, slots, updates }: Update,
  { biasCorrection, betas: [beta1, beta2] }: OptimizerSettings,
) {
  return {
    parameter,
    gradient,
    weightDecay,
    moment: slots.moment!,
    variance: slots.variance!,
    correction1: biasCorrection ? 1 - beta1 ** updates : 1,
    correction2: biasCorrection ? 1 - beta2 ** updates : 1,
  };
}
