import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { pld } from './pld.ts';

/**
 * PLD's schedule in time without its profile over the depth: `p_l = θ(t)` for every block, scaled by `1/p`. The "temporal only"
 * ablation of PLD.
 *
 * @throws RangeError if gamma is not a positive rate, or θ̄ is not in (0, 1].
 */
export function timeOnly(options: Omit<MethodOptions, 'profile'>): DepthMethod {
  return pld({ ...options, profile: 'uniform' });
}

export const timeOnlyMethod: NamedMethod = {
  title: 'progressive layer dropping in time only (arXiv 2010.13369)',
  reads: ['thetaBar', 'gamma'],
  create: timeOnly,
};
