/** How the keep rate falls along the depth. */
export type Profile = 'linear' | 'linear0' | 'uniform';

/**
 * The keep rates of L blocks at θ, from the lowest block up:
 * `linear`: `p_l = 1 − (l/L)(1 − θ)` with l = 1 … L (the paper's equation; mean depth 8.75 of 12 at θ = 0.5);
 * `linear0`: the same with l = 0 … L−1, so that the first block is always on (the public code; 9.25 of 12);
 * `uniform`: `p_l = θ`.
 * Source: Zhang and He 2020 (arXiv 2010.13369), section 4.2.
 */
export function profileRates(profile: Profile, layers: number, theta: number): number[] {
  if (profile === 'uniform') return new Array<number>(layers).fill(theta);
  const first = profile === 'linear' ? 1 : 0;
  return Array.from({ length: layers }, (_, block) => 1 - ((block + first) / layers) * (1 - theta));
}
