/** A block that is added at a step. Before, its keep rate is 0. */
export interface NewBlock {
  block: number;
  /** The block that it becomes a copy of; with none it starts as the seed says. */
  copyOf?: number;
  /** Whether what the optimizer remembers of that block is copied too. */
  copiesMoments?: boolean;
}

/** What a depth method says about one optimizer step; lists go from the lowest block up and have L entries. */
export interface DepthState {
  /** The schedule's θ at this step; 1 means that nothing is dropped. */
  readonly theta: number;
  /** The probability that a block runs. */
  readonly keepRates: readonly number[];
  /** What the branches of a block that runs are multiplied by: `1/p`, or 1 for a method that does not scale. */
  readonly branchScales: readonly number[];
  /** The blocks that begin to exist with this step, before it is computed. */
  readonly newBlocks?: readonly NewBlock[];
}

/** The state in which each kept branch is scaled by `1/p`: by the same p that its gate is drawn with. */
export function scaled(theta: number, keepRates: readonly number[]): DepthState {
  return { theta, keepRates, branchScales: keepRates.map((keepRate) => (keepRate > 0 ? 1 / keepRate : 1)) };
}

/** The state in which a kept branch is left as it is. */
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
