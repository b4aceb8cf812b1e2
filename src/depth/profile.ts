import { type DepthState, scaled } from './state.ts';

/** How the keep rate falls along the depth; `deepspeed` is `linear0` with the scale of DeepSpeed's code. */
export const profiles = ['linear', 'linear0', 'uniform', 'deepspeed'] as const;
/** A value of `depth.profile`. */
export type Profile = (typeof profiles)[number];

/**
 * The keep rates of L blocks at θ, lowest block first:
 * `linear`: `p_l = 1 − (l/L)(1 − θ)` with l = 1 … L (the paper's equation; mean depth 8.75 of 12 at θ = 0.5);
 * `linear0` and `deepspeed`: the same with l = 0 … L−1, so that the first block always runs (the public code; 9.25 of 12);
 * `uniform`: `p_l = θ`.
 * Source: Zhang and He 2020 (arXiv 2010.13369), section 4.2.
 */
export function profileRates(profile: Profile, layers: number, theta: number): number[] {
  if (profile === 'uniform') return new Array<number>(layers).fill(theta);
  return fallingRates(layers, theta, profile === 'linear' ? 1 : 0);
}

/**
 * A profile's keep rates and scales at θ. A kept branch is scaled by `1/p_l`; with `deepspeed` by `1/p_{l+1}`, as in
 * DeepSpeed's published code: it lowers p between drawing the gate and dividing, which inflates each branch by 4 to
 * 8 % at θ = 0.5. For comparison with models trained that way.
 */
export function profileState(profile: Profile, layers: number, theta: number): DepthState {
  const state = scaled(theta, profileRates(profile, layers, theta));
  if (profile !== 'deepspeed') return state;
  return { ...state, branchScales: fallingRates(layers, theta, 1).map((nextRate) => 1 / nextRate) };
}

/** `1 − (l/L)(1 − θ)` for l from `first` on. */
function fallingRates(layers: number, theta: number, first: 0 | 1): number[] {
  return Array.from({ length: layers }, (_, block) => 1 - ((block + first) / layers) * (1 - theta));
}
