import { counted } from '../errors/index.ts';
import type { Config } from './schema.ts';

/** A value for the whole run, or [step, value] pairs: each value applies from its step on, counted from 0. */
export type Phased<T> = T | [step: number, value: T][];

/** The configuration at one step of a run: with one batch size, sequence length and mask rate. */
export interface StepConfig extends Config {
  data: Config['data'] & { sequenceLength: number; maskRate: number };
  train: Config['train'] & { batchSize: number };
}

/** A part of a run with one batch size, sequence length and mask rate. */
export interface Phase {
  /** Its first step, counted from 0. */
  first: number;
  steps: number;
  config: StepConfig;
}

/** The configuration at a step, counted from 0. */
export function configAt(config: Config, step: number): StepConfig {
  const { data, train } = config;
  return {
    ...config,
    data: {
      ...data,
      sequenceLength: valueAt(data.sequenceLength, step),
      maskRate: valueAt(data.maskRate, step),
    },
    train: { ...train, batchSize: valueAt(train.batchSize, step) },
  };
}

/** The configuration with the last value of each list. All evaluations of a run use it, from the first step on. */
export function lastConfig(config: Config): StepConfig {
  return configAt(config, Infinity);
}

/** The phases of a run, or of its first `steps` steps: a single one if no value is a list. */
export function phasesOf(config: Config, steps = config.train.steps): Phase[] {
  const firsts = changesOf(config).filter((step) => step < steps);
  return firsts.map((first, i) => ({
    first,
    steps: (firsts[i + 1] ?? steps) - first,
    config: configAt(config, first),
  }));
}

/** A function of the step that is computed once per phase of a run. */
export function byPhase<T>(config: Config, make: (config: StepConfig) => T): (step: number) => T {
  const made = phasesOf(config).map((phase) => ({ first: phase.first, value: make(phase.config) }));
  return (step) => made.findLast(({ first }) => first <= step)!.value;
}

/** The longest sequence length in the first `steps` steps; an imported model counts as in its first step. */
export function longestSequence(config: Config, steps: number): number {
  return Math.max(...phasesOf(config, Math.max(1, steps)).map((phase) => phase.config.data.sequenceLength));
}

/** The steps at which a value changes, starting with 0. */
export function changesOf({ data, train }: Pick<Config, 'data' | 'train'>): number[] {
  const changes = [data.sequenceLength, data.maskRate, train.batchSize].flatMap(pairsOf).map(([step]) => step);
  return [...new Set(changes)].sort((a, b) => a - b);
}

function pairsOf<T>(value: Phased<T>): [step: number, value: T][] {
  return Array.isArray(value) ? value : [[0, value]];
}

function valueAt<T>(value: Phased<T>, step: number): T {
  return pairsOf(value).findLast(([from]) => from <= step)![1];
}

/** All values of a run, in order. */
export function valuesOf<T>(value: Phased<T>): T[] {
  return pairsOf(value).map(([, each]) => each);
}

/** Successive counts of things: `1 sequence`, `16, then 32 sequences`, `16, … 512 sequences`. */
export function countedInTurn(values: readonly number[], noun: string): string {
  const changed = values.filter((value, i) => value !== values[i - 1]);
  const last = counted(changed.at(-1)!, noun);
  const before = changed.slice(0, -1).map((value) => value.toLocaleString('en'));
  return before.length > 2 ? `${before[0]}, … ${last}` : [...before, last].join(', then ');
}

/** The greatest common divisor. */
export function greatestDivisor(numbers: readonly number[]): number {
  const ofTwo = (a: number, b: number): number => (b === 0 ? a : ofTwo(b, a % b));
  return numbers.reduce(ofTwo);
}
