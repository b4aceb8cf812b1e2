import { type Profile, profileRates } from './profile.ts';
import { type Gamma, gammaWarning, resolveGamma, theta } from './schedule.ts';

/** What a depth method says about one optimizer step; lists go from the lowest block up and have L entries. */
export interface DepthState {
  /** The schedule's θ at this step; 1 means that nothing is dropped. */
  readonly theta: number;
  /** The probability that a block runs. */
  readonly keepRates: readonly number[];
  /** What the branches of a block that runs are multiplied with: `1/p`, or 1 for a method that does not scale. */
  readonly branchScales: readonly number[];
}

/** A depth method: a pure function of the optimizer step, counted from 0. */
export type DepthMethod = (step: number) => DepthState;

/** The settings of a depth method, as the `depth` section of a config file has them. */
export interface DepthSettings {
  method: 'dense' | 'pld';
  thetaBar: number;
  gamma: Gamma;
  profile: Profile;
}

/** Every one of L blocks runs at every step: the control. */
export function dense(layers: number): DepthMethod {
  const ones = new Array<number>(layers).fill(1);
  return () => ({ theta: 1, keepRates: ones, branchScales: ones });
}

/**
 * Progressive layer dropping: `θ(t)` falls from 1 to θ̄, the profile spreads it along the depth, and a kept branch is
 * scaled by `1/p`.
 * Throws a RangeError when gamma is not a positive rate.
 * Source: Zhang and He 2020 (arXiv 2010.13369), Eq. 1 and section 4.2.
 */
export function pld(options: {
  layers: number;
  thetaBar: number;
  gamma: Gamma;
  profile: Profile;
  totalSteps: number;
}): DepthMethod {
  const { layers, thetaBar, profile, totalSteps } = options;
  const gamma = resolveGamma(options.gamma, totalSteps);
  return (step) => {
    const now = theta(step, { thetaBar, gamma });
    return unbiased(now, profileRates(profile, layers, now));
  };
}

/** The state in which each kept branch is scaled by `1/p`: by the same p that its gate is drawn with. */
function unbiased(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map((keepRate) => 1 / keepRate) };
}

/** The depth method that the settings ask for, over L blocks and a run of `totalSteps`. */
export function depthMethod(settings: DepthSettings, layers: number, totalSteps: number): DepthMethod {
  switch (settings.method) {
    case 'dense':
      return dense(layers);
    case 'pld':
      return pld({ ...settings, layers, totalSteps });
  }
}

/** What a user should hear about these settings before spending `totalSteps` on them; empty when all is well. */
export function depthWarnings(settings: DepthSettings, totalSteps: number): string[] {
  const warning = settings.method === 'pld' ? gammaWarning(settings.gamma, totalSteps) : undefined;
  return warning === undefined ? [] : [warning];
}

/** The mean number of blocks that run: `Σ p_l`. */
export function expectedDepth(keepRates: readonly number[]): number {
  return keepRates.reduce((sum, keepRate) => sum + keepRate, 0);
}
