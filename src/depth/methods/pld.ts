import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { profileState } from '../profile.ts';
import { checkThetaBar, resolveGamma, theta } from '../schedule.ts';

/**
 * Progressive layer dropping: `θ(t)` falls from 1 to θ̄, the profile distributes it over the blocks, and a kept branch is
 * scaled by `1/p`.
 * Source: Zhang and He 2020 (arXiv 2010.13369), Eq. 1 and section 4.2.
 *
 * @throws RangeError if gamma is not a positive rate, or θ̄ is not in (0, 1].
 */
export function pld(options: MethodOptions): DepthMethod {
  const { layers, thetaBar, profile, totalSteps } = options;
  checkThetaBar(thetaBar);
  const gamma = resolveGamma(options.gamma, totalSteps);
  return (step) => profileState(profile, layers, theta(step, { thetaBar, gamma }));
}

export const pldMethod: NamedMethod = {
  title: 'progressive layer dropping (arXiv 2010.13369)',
  reads: ['thetaBar', 'gamma', 'profile'],
  create: pld,
};
