import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { profileRates } from '../profile.ts';
import { checkThetaBar } from '../schedule.ts';
import { unscaled } from '../state.ts';

/**
 * LayerDrop: `p_l = θ̄` for every block at every step, without scaling.
 * Source: Fan, Grave and Joulin 2019 (arXiv 1909.11556).
 *
 * @throws RangeError if θ̄ is not in (0, 1].
 */
export function layerdrop({ layers, thetaBar }: Pick<MethodOptions, 'layers' | 'thetaBar'>): DepthMethod {
  checkThetaBar(thetaBar);
  const state = unscaled(thetaBar, profileRates('uniform', layers, thetaBar));
  return () => state;
}

export const layerdropMethod: NamedMethod = {
  title: 'LayerDrop (arXiv 1909.11556)',
  reads: ['thetaBar'],
  create: layerdrop,
};
