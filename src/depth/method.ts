import type { ZodRawShape } from 'zod';
import type { Profile } from './profile.ts';
import type { Gamma } from './schedule.ts';
import type { DepthState } from './state.ts';

/** A depth method: a pure function of the optimizer step, counted from 0. */
export type DepthMethod = (step: number) => DepthState;

/** The inputs of every method: the model's depth, the length of the run, and the keys of `depth` that several methods read. */
export interface MethodOptions {
  layers: number;
  totalSteps: number;
  thetaBar: number;
  gamma: Gamma;
  profile: Profile;
}

/**
 * A value of `depth.method`, with everything specific to it. A new method is a file with such a description and a line
 * in `depthMethods`.
 */
export interface NamedMethod<Own extends object = object> {
  /** Its name and source, for model cards and docs. */
  title: string;
  /** The shared keys that it reads. */
  reads: readonly ('thetaBar' | 'gamma' | 'profile')[];
  /** Keys of `depth` that only this method reads. */
  keys?: ZodRawShape;
  /** Whether its gates are random (the default); if false, every keep rate is 0 or 1. */
  drawsGates?: boolean;
  /** Its own settings in words: "9 blocks". */
  words?(own: Own): string;
  /** Derived values of own keys that were not given, each with the reason. */
  derive?(options: MethodOptions & Own): { key: keyof Own & string; value: unknown; reason: string }[];
  /** Mistakes in the settings, each with its fix. */
  mistakes?(options: MethodOptions & Own, model: { norm: 'pre' | 'post' }): string[];
  /** Warnings about settings that are valid. */
  warnings?(options: MethodOptions & Own): string[];
  /** The steps at which its keep rates jump. */
  jumps?(options: MethodOptions & Own): number[];
  /**
   * Makes the method; absent if a program passes a function instead.
   *
   * @throws RangeError for options out of range; among them what `mistakes` reports, except for `tail` and the model's norm.
   */
  create?(options: MethodOptions & Own): DepthMethod;
}
