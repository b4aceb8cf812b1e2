import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { checkThetaBar } from '../schedule.ts';
import { scaled } from '../state.ts';

/**
 * Dropping that fades to dense: block l = 0 … L−1 is dropped with probability `p_max·(l/(L−1))·(1 − t/(T−1))`, p_max = 1 − θ̄, and a
 * kept branch is scaled by `1/p`. Over the run it saves p_max/4 of the blocks' work.
 * Source: Elhoushi et al. 2026, "Don't Drop Dropout" (arXiv 2609.05275); published with one gate per sequence.
 *
 * @throws RangeError if θ̄ is not in (0, 1].
 */
export function fade(options: Pick<MethodOptions, 'layers' | 'thetaBar' | 'totalSteps'>): DepthMethod {
  const { layers, thetaBar, totalSteps } = options;
  checkThetaBar(thetaBar);
  return (step) => {
    const now = 1 - (1 - thetaBar) * Math.max(0, 1 - step / Math.max(1, totalSteps - 1));
    const keepRates = Array.from({ length: layers }, (_, l) => 1 - (l / Math.max(1, layers - 1)) * (1 - now));
    return scaled(now, keepRates);
  };
}

export const fadeMethod: NamedMethod = {
  title: 'layer dropping that fades to dense (arXiv 2609.05275)',
  reads: ['thetaBar'],
  create: fade,
};
