import { keysThatAffect, lastConfig } from '../config/index.ts';
import { knownMethod, ownSettings } from '../depth/index.ts';
import { DataError } from '../errors/index.ts';
import type { EvaluationPoint, RunRecord } from './run-record.ts';

/** What a run spends. */
export type Cost = 'samples' | 'flops' | 'seconds';
/** All that a run spends, in the order of the tables. */
export const costs = ['samples', 'flops', 'seconds'] as const;

/** A mean over runs, with the least and the most of them. */
export interface Spread {
  mean: number;
  least: number;
  most: number;
}

/** One run of a comparison. */
export interface ComparedRun {
  name: string;
  seed: number;
  last: EvaluationPoint;
  /** Its loss where every run has spent the same of each. */
  lossAtEqual: Record<Cost, number>;
  /** What it spent to reach the comparison's loss; null when it never did. */
  toLoss: Record<Cost, number> | null;
}

/** Runs of one setting that differ in their seed alone. */
export interface ComparedSetting {
  /** The names of its runs. */
  runs: string[];
  finalLoss: Spread;
  lossAtEqual: Record<Cost, Spread>;
  /**
   * What the first setting spends to reach the comparison's loss, over what this one does: the geometric mean over each pair
   * of a run of the first and a run of this (so that a setting is 1 times as fast as itself); null when one of them never
   * reaches it.
   */
  speedup: Record<Cost, Spread> | null;
}

/** Runs side by side. Loss is held-out loss in nats. */
export interface Comparison {
  /** What every run has spent at least: where their losses are compared. */
  equal: Record<Cost, number>;
  /** The loss that all are to reach. */
  loss: number;
  runs: ComparedRun[];
  settings: ComparedSetting[];
}

/**
 * Compares runs on one text, tokenizer and evaluation. Between two evaluations the loss is interpolated linearly in what is
 * spent; nothing is smoothed, since every evaluation is over the same masked tokens. A loss is reached where the curve
 * first crosses it. Without `loss` it is the highest of the final losses, which every run reaches; one that ended above where
 * the runs began does not count for that.
 *
 * @throws DataError when two runs cannot be compared, with the reason, and for a loss that they begin with.
 */
export function compareRuns(records: readonly RunRecord[], options: { loss?: number } = {}): Comparison {
  for (const record of records.slice(1)) checkComparable(records[0]!, record);
  const loss = lossToReach(records, options.loss);
  const equal = forCosts((cost) => Math.min(...records.map(({ evaluations }) => evaluations.at(-1)![cost])));
  const runs = records.map(({ name, config, evaluations }): ComparedRun => {
    return {
      name,
      seed: config.train.seed,
      last: evaluations.at(-1)!,
      lossAtEqual: forCosts((cost) => lossAt(evaluations, cost, equal[cost])),
      toLoss: costToReach(evaluations, loss),
    };
  });
  const keys = records.map(settingOf);
  const bySetting = [...new Set(keys)].map((key) => runs.filter((_, i) => keys[i] === key));
  return { equal, loss, runs, settings: bySetting.map((setting) => comparedSetting(setting, bySetting[0]!)) };
}

/** The loss that is asked for, or the highest of the final ones; in either case one that no run begins with. */
function lossToReach(records: readonly RunRecord[], asked: number | undefined): number {
  const begin = Math.min(...records.map(({ evaluations }) => evaluations[0]!.loss));
  const finals = records.map(({ evaluations }) => evaluations.at(-1)!.loss);
  const loss = asked ?? Math.max(...finals.filter((final) => final < begin));
  if (loss < begin && loss > Number.NEGATIVE_INFINITY) return loss;
  const what = asked === undefined ? 'no run came' : `a loss of ${asked} to reach is not`;
  throw new DataError(`${what} below ${begin.toFixed(3)}, which a run begins with; there is nothing to compare`);
}

function comparedSetting(setting: readonly ComparedRun[], first: readonly ComparedRun[]): ComparedSetting {
  const ratios = (cost: Cost) =>
    first.flatMap((base) =>
      setting.map((run) => (base.toLoss && run.toLoss ? base.toLoss[cost] / run.toLoss[cost] : null)),
    );
  const isReached = [...first, ...setting].every((run) => run.toLoss !== null);
  return {
    runs: setting.map(({ name }) => name),
    finalLoss: spreadOf(setting.map(({ last }) => last.loss)),
    lossAtEqual: forCosts((cost) => spreadOf(setting.map((run) => run.lossAtEqual[cost]))),
    speedup: isReached ? forCosts((cost) => ratioSpreadOf(ratios(cost).map((ratio) => ratio!))) : null,
  };
}

function forCosts<T>(value: (cost: Cost) => T): Record<Cost, T> {
  return { samples: value('samples'), flops: value('flops'), seconds: value('seconds') };
}

function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, least: Math.min(...values), most: Math.max(...values) };
}

function ratioSpreadOf(ratios: readonly number[]): Spread {
  return { ...spreadOf(ratios), mean: Math.exp(spreadOf(ratios.map(Math.log)).mean) };
}

/** The loss where `amount` of a cost had been spent. */
function lossAt(points: readonly EvaluationPoint[], cost: Cost, amount: number): number {
  const after = points.findIndex((point) => point[cost] >= amount);
  const [b, a] = [points[after]!, points[after - 1]];
  if (a === undefined || b[cost] === a[cost]) return b.loss;
  return a.loss + ((amount - a[cost]) / (b[cost] - a[cost])) * (b.loss - a.loss);
}

/** What had been spent where the loss first came down to `loss`. */
function costToReach(points: readonly EvaluationPoint[], loss: number): Record<Cost, number> | null {
  const reached = points.findIndex((point) => point.loss <= loss);
  if (reached < 0) return null;
  const [b, a] = [points[reached]!, points[reached - 1] ?? points[reached]!];
  const part = a.loss === b.loss ? 1 : (a.loss - loss) / (a.loss - b.loss);
  return forCosts((cost) => a[cost] + part * (b[cost] - a[cost]));
}

/** What tells two settings apart: all but the seed, and the depth method, which is what it does. */
const telling = [...keysThatAffect('numbers', 'start', 'time')].filter((key) => {
  return key === 'depth.granularity' || (key !== 'train.seed' && !key.startsWith('depth.'));
});
/** So many steps tell two depth methods apart. */
const numProbes = 50;

function settingOf({ name, config }: RunRecord): string {
  const { model, depth, train } = config;
  const method = knownMethod(depth, model.layers, train.steps);
  // A function that only its program knows is like no other.
  const states = method
    ? Array.from({ length: numProbes }, (_, i) => method(Math.floor((i * train.steps) / numProbes)))
    : name;
  const values: Record<string, Record<string, unknown>> = { ...config };
  const told = telling.map((path) => {
    const [section, key] = path.split('.') as [string, string];
    return values[section]![key];
  });
  return JSON.stringify([states, ownSettings(depth), told]);
}

function checkComparable(a: RunRecord, b: RunRecord): void {
  const refuse = (what: string, advice: string) => {
    throw new DataError(`${b.name}: ${what} than in ${a.name}; ${advice}`);
  };
  if (a.tokenizerHash !== b.tokenizerHash) {
    refuse(
      'another tokenizer',
      'losses over other pieces say nothing of each other: give both runs one data.tokenizer',
    );
  }
  if (a.textHash !== b.textHash) refuse('other texts', 'train both on the same data.train and data.valid');
  const evaluationOf = (config: RunRecord['config']) => {
    const { data, train } = lastConfig(config);
    return {
      'data.sequenceLength': JSON.stringify(config.data.sequenceLength), // samples of another length would not count alike
      'data.objective': data.objective,
      'data.maskRate': data.maskRate,
      'data.wholeWord': data.wholeWord,
      'data.validFraction': data.valid.length > 0 ? 'none' : data.validFraction,
      'train.evalSamples': train.evalSamples,
    };
  };
  const [first, second] = [evaluationOf(a.config), evaluationOf(b.config)];
  for (const key of Object.keys(first) as (keyof typeof first)[]) {
    if (first[key] === second[key]) continue;
    refuse(`another evaluation (${key} ${second[key]} instead of ${first[key]})`, 'set it to the same in both');
  }
}
