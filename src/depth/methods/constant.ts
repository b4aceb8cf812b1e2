import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { profileState } from '../profile.ts';
import { checkThetaBar } from '../schedule.ts';

/**
 * The same keep rates at every step, spread along the depth by the profile; a kept branch is scaled by `1/p`. Stochastic
 * depth, and with the profile `linear` the "depth only" ablation of PLD.
 * Source: Huang et al. 2016 (arXiv 1603.09382), with the scale applied in training instead of in evaluation.
 *
 * @throws RangeError if θ̄ is not in (0, 1].
 */
export function constant(options: Pick<MethodOptions, 'layers' | 'thetaBar' | 'profile'>): DepthMethod {
  checkThetaBar(options.thetaBar);
  const state = profileState(options.profile, options.layers, options.thetaBar);
  return () => state;
}

export const constantMethod: NamedMethod = {
  title: 'stochastic depth (arXiv 1603.09382)',
  reads: ['thetaBar', 'profile'],
  create: constant,
};
