/** The rate at which θ falls: in 1/steps, or `c/T` for c divided by the total number of steps. */
export type Gamma = number | `${number}/T`;

/**
 * The keep rate of the schedule in time, `θ(t) = (1 − θ̄)·exp(−γ·t) + θ̄`, with t the optimizer step counted from 0.
 * θ(0) = 1 and θ falls towards θ̄; γ is in 1/steps.
 * Source: Zhang and He 2020 (arXiv 2010.13369), section 4.2.
 */
export function theta(step: number, { thetaBar, gamma }: { thetaBar: number; gamma: number }): number {
  return (1 - thetaBar) * Math.exp(-gamma * step) + thetaBar;
}

/**
 * Checks θ̄, the lowest keep rate.
 *
 * @throws RangeError unless it is in (0, 1].
 */
export function checkThetaBar(thetaBar: number): void {
  if (!(thetaBar > 0 && thetaBar <= 1))
    throw new RangeError(`thetaBar: ${thetaBar} is not in (0, 1]; 0.5 is the paper's`);
}

/**
 * Gamma in 1/steps: `c/T` becomes c divided by the total number of steps; a number is returned unchanged.
 *
 * @throws RangeError if the result is not a positive finite number.
 */
export function resolveGamma(gamma: Gamma, totalSteps: number): number {
  const perStep = typeof gamma === 'number' ? gamma : Number(gamma.replace(/\/T$/, '')) / totalSteps;
  if (!(perStep > 0 && perStep < Infinity)) {
    throw new RangeError(`gamma: ${gamma} with T = ${totalSteps} is not a positive rate; 100/T is the paper's`);
  }
  return perStep;
}

/** Below this γ·T, θ is still falling for much of the run: at 20 the run saves 95 % of its limit. */
const smallestGammaSteps = 20;

/** A warning if γ·T is so small that θ stays high for much of the run; else undefined. */
export function gammaWarning(gamma: Gamma, totalSteps: number): string | undefined {
  const gammaSteps = resolveGamma(gamma, totalSteps) * totalSteps;
  if (gammaSteps > smallestGammaSteps - 1e-9) return undefined; // 20/T over T steps is seldom 20 exactly
  // The mean of 1 − θ(t) over the run, as a fraction of 1 − θ̄.
  const saved = 1 - (1 - Math.exp(-gammaSteps)) / gammaSteps;
  return (
    `depth.gamma: ${gamma} is slow for T = ${totalSteps}: θ falls so late that the run saves only ` +
    `${Math.round(100 * saved)} % of what it could; set depth.gamma to 100/T, which suits any length`
  );
}
