import type { ZodRawShape } from 'zod';
import type { Profile } from './profile.ts';
import type { Gamma } from './schedule.ts';
import type { DepthState } from './state.ts';

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
  /** Whether its gates are drawn, as they are where nothing is said; without, each block's keep rate is 0 or 1. */
  drawsGates?: boolean;
  /** What its own keys say, in words: "9 blocks". */
  words?(own: Own): string;
  /** The values of own keys that nobody gave and that follow from others, each with the reason. */
  derive?(options: MethodOptions & Own): { key: keyof Own & string; value: unknown; reason: string }[];
  /** What does not fit together, each with how to fix it. */
  mistakes?(options: MethodOptions & Own, model: { norm: 'pre' | 'post' }): string[];
  /** Warnings about settings that are valid. */
  warnings?(options: MethodOptions & Own): string[];
  /** The steps at which its keep rates jump. */
  jumps?(options: MethodOptions & Own): number[];
  /**
   * Makes the method; absent where a program passes a function instead.
   *
   * @throws RangeError for options that `mistakes` would tell of.
   */
  create?(options: MethodOptions & Own): DepthMethod;
}
