/** What a depth method says about one optimizer step; lists go from the lowest block up and have L entries. */
export interface DepthState {
  /** The schedule's θ at this step; 1 means that nothing is dropped. */
  readonly theta: number;
  /** The probability that a block runs. */
  readonly keepRates: readonly number[];
  /** What the branches of a block that runs are multiplied by: `1/p`, or 1 for a method that does not scale. */
  readonly branchScales: readonly number[];
}

/** The state in which each kept branch is scaled by `1/p`: by the same p that its gate is drawn with. */
export function scaled(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map((keepRate) => 1 / keepRate) };
}

/** The state in which a kept branch is left as it is. */
export function unscaled(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map(() => 1) };
}

/** The state in which every block runs. */
export function whole(layers: number): DepthState {
  return unscaled(1, new Array<number>(layers).fill(1));
}

/** The mean number of blocks that run: `Σ p_l`. */
export function expectedDepth(keepRates: readonly number[]): number {
  return keepRates.reduce((sum, keepRate) => sum + keepRate, 0);
}
