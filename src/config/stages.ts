import type { Config } from './schema.ts';

/** A value for the whole run, or [step, value] pairs: each value from its step on, counted from 0. */
export type Staged<T> = T | [step: number, value: T][];

/** A configuration as it is at one step of a run: with one batch size, sequence length and mask rate. */
export interface StepConfig extends Config {
  data: Config['data'] & { sequenceLength: number; maskRate: number };
  train: Config['train'] & { batchSize: number };
}

/** Steps of a run in which its batch size, sequence length and mask rate stay. */
export interface Stage {
  /** The first of them, counted from 0. */
  first: number;
  /** How many. */
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

/** The configuration at the last step: a run is evaluated with that from its first one on. */
export function lastConfig(config: Config): StepConfig {
  return configAt(config, config.train.steps - 1);
}

/** The stages of a run, one after the other; a single one where no value is a list. */
export function stagesOf(config: Config): Stage[] {
  const { data, train } = config;
  const changes = [data.sequenceLength, data.maskRate, train.batchSize].flatMap(pairsOf).map(([step]) => step);
  const firsts = [...new Set(changes)].filter((step) => step < train.steps).sort((a, b) => a - b);
  return firsts.map((first, i) => ({
    first,
    steps: (firsts[i + 1] ?? train.steps) - first,
    config: configAt(config, first),
  }));
}

function pairsOf<T>(value: Staged<T>): [step: number, value: T][] {
  return Array.isArray(value) ? value : [[0, value]];
}

function valueAt<T>(value: Staged<T>, step: number): T {
  return pairsOf(value).findLast(([from]) => from <= step)![1];
}

/** All values of a run, in their order. */
export function valuesOf<T>(value: Staged<T>): T[] {
  return pairsOf(value).map(([, each]) => each);
}

/** All values of a run in words: `16, then 32`. */
export function inWords(value: Staged<number>, format = (each: number) => each.toLocaleString('en')): string {
  return valuesOf(value).map(format).join(', then ');
}

/** The largest number that divides each of these. */
export function greatestDivisor(numbers: readonly number[]): number {
  const ofTwo = (a: number, b: number): number => (b === 0 ? a : ofTwo(b, a % b));
  return numbers.reduce(ofTwo);
}
