import type { ZodRawShape } from 'zod';
import type { Profile } from './profile.ts';
import type { Gamma } from './schedule.ts';

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

/** What every method is made from: the model's depth, the length of the run, and the keys of `depth` that several methods read. */
export interface MethodOptions {
  layers: number;
  totalSteps: number;
  thetaBar: number;
  gamma: Gamma;
  profile: Profile;
}

/**
 * A depth method as `depth.method` names it: all that is true of it alone. A new one is a file with such a description and a line
 * in `depthMethods`.
 */
export interface NamedMethod<Own extends object = object> {
  /** What it is, with its source, as the card of a model that was trained with it says. */
  title: string;
  /** The keys that it reads of those which several methods share. */
  reads: readonly ('thetaBar' | 'gamma' | 'profile')[];
  /** Keys of `depth` that it alone reads. */
  keys?: ZodRawShape;
  /** What its own keys say, in words: "9 blocks". */
  words?(own: Own): string;
  /** The value of an own key that nobody gave and that follows from others, with the reason. */
  derive?(options: MethodOptions & Own): { key: keyof Own & string; value: unknown; reason: string } | undefined;
  /** What does not fit together, each with how to mend it. */
  mistakes?(options: MethodOptions & Own, model: { norm: 'pre' | 'post' }): string[];
  /** Fractions of the run at which its keep rates jump. */
  jumps?(own: Own): number[];
  /** Throws a RangeError for options that `mistakes` would tell of. Absent where a program passes a function instead. */
  create?(options: MethodOptions & Own): DepthMethod;
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
