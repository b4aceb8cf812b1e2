/** A block that is added at a step; its keep rate was 0 before. */
export interface NewBlock {
  block: number;
  /** The block that it copies; without one it is initialised from the seed. */
  copyOf?: number;
  /** Whether the optimizer state of that block is copied too. */
  copiesMoments?: boolean;
}

/** The output of a depth method for one optimizer step; lists have L entries, lowest block first. */
export interface DepthState {
  /** The schedule's θ at this step; at 1 nothing is dropped. */
  readonly theta: number;
  /** The probability that a block runs. */
  readonly keepRates: readonly number[];
  /** The factor of the branches of a block that runs: `1/p`, or 1 for a method that does not scale. */
  readonly branchScales: readonly number[];
  /** The blocks that are added before this step is computed. */
  readonly newBlocks?: readonly NewBlock[];
}

/** The state in which each kept branch is scaled by `1/p`, with the p of its gate. */
export function scaled(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map((keepRate) => (keepRate > 0 ? 1 / keepRate : 1)) };
}

/** The state in which kept branches are not scaled. */
export function unscaled(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map(() => 1) };
}

/** The state in which every block runs. */
export function whole(layers: number): DepthState {
  return lowest(layers, layers);
}

/** The state in which the lowest `blocks` of L blocks run and the others do not. */
export function lowest(layers: number, blocks: number): DepthState {
  return unscaled(
    1,
    Array.from({ length: layers }, (_, l) => (l < blocks ? 1 : 0)),
  );
}

/** The mean number of blocks that run: `Σ p_l`. */
export function expectedDepth(keepRates: readonly number[]): number {
  return keepRates.reduce((sum, keepRate) => sum + keepRate, 0);
}
