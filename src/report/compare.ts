import { keysThatAffect, lastConfig } from '../config/index.ts';
import { knownMethod, ownSettings } from '../depth/index.ts';
import { DataError } from '../errors/index.ts';
import type { EvaluationPoint, RunRecord } from './run-record.ts';

/** A cost of training. */
export type Cost = 'samples' | 'flops' | 'seconds';
/** All costs, in the order of the tables. */
export const costs = ['samples', 'flops', 'seconds'] as const;

/** A mean over runs, with their minimum and maximum. */
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
  /** Its held-out loss at `Comparison.equal` of each cost. */
  lossAtEqual: Record<Cost, number>;
  /** The costs of reaching the target loss, `Comparison.loss`; null if it never did. */
  toLoss: Record<Cost, number> | null;
}

/** Runs whose settings are equal except for the seed. */
export interface ComparedSetting {
  /** The names of its runs. */
  runs: string[];
  finalLoss: Spread;
  lossAtEqual: Record<Cost, Spread>;
  /**
   * The first setting's cost of reaching the target loss divided by this setting's: the geometric mean over all pairs of a
   * run of the first setting and a run of this one, so the first setting's own speedup is 1. Null if any of these runs never
   * reaches the loss.
   */
  speedup: Record<Cost, Spread> | null;
}

/** A comparison of runs. Losses are held-out losses in nats. */
export interface Comparison {
  /** The most of each cost that every run has spent: losses are compared at this cost. */
  equal: Record<Cost, number>;
  /** The target loss. */
  loss: number;
  runs: ComparedRun[];
  settings: ComparedSetting[];
}

/**
 * Compares runs that share texts, tokenizer and evaluation. Between two evaluations the loss is interpolated linearly over the
 * cost. Losses are not smoothed: every evaluation uses the same masked tokens. A run reaches the target loss at the first
 * crossing. The default target is the highest final loss, which every run reaches; final losses above the runs' initial
 * losses are ignored.
 *
 * @throws DataError if there is no run, if two runs cannot be compared, with the reason, or if a run starts at or below the target loss.
 */
export function compareRuns(records: readonly RunRecord[], options: { loss?: number } = {}): Comparison {
  if (records.length === 0) throw new DataError('no runs to compare; give at least one');
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

/** The given target loss, or the highest final loss; either must be below every run's initial loss. */
function lossToReach(records: readonly RunRecord[], asked: number | undefined): number {
  const begin = Math.min(...records.map(({ evaluations }) => evaluations[0]!.loss));
  const finals = records.map(({ evaluations }) => evaluations.at(-1)!.loss);
  const loss = asked ?? Math.max(...finals.filter((final) => final < begin));
  if (loss < begin && loss > Number.NEGATIVE_INFINITY) return loss;
  const limit = `below ${begin.toFixed(3)}, the lowest loss at the start of a run`;
  throw new DataError(
    asked === undefined
      ? `no run's held-out loss fell ${limit}; train the runs longer`
      : `the target loss ${asked} is not ${limit}; give a lower one`,
  );
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

/** The loss at `amount` of a cost. */
function lossAt(points: readonly EvaluationPoint[], cost: Cost, amount: number): number {
  const after = points.findIndex((point) => point[cost] >= amount);
  const [b, a] = [points[after]!, points[after - 1]];
  if (a === undefined || b[cost] === a[cost]) return b.loss;
  return a.loss + ((amount - a[cost]) / (b[cost] - a[cost])) * (b.loss - a.loss);
}

/** The costs at which the loss first fell to `loss`. */
function costToReach(points: readonly EvaluationPoint[], loss: number): Record<Cost, number> | null {
  const reached = points.findIndex((point) => point.loss <= loss);
  if (reached < 0) return null;
  const [b, a] = [points[reached]!, points[reached - 1] ?? points[reached]!];
  const part = a.loss === b.loss ? 1 : (a.loss - loss) / (a.loss - b.loss);
  return forCosts((cost) => a[cost] + part * (b[cost] - a[cost]));
}

/** The keys that make two settings different: all but the seed. Depth methods are compared by their keep rates. */
const telling = [...keysThatAffect('numbers', 'start', 'time')].filter((key) => {
  return key === 'depth.granularity' || (key !== 'train.seed' && !key.startsWith('depth.'));
});
/** Steps at which two depth methods are compared. */
const numProbes = 50;

function settingOf({ name, config }: RunRecord): string {
  const { model, depth, train } = config;
  const method = knownMethod(depth, model.layers, train.steps);
  // A program's own function cannot be compared, so each such run is a setting of its own.
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
  const refuse = (what: string) => {
    throw new DataError(`${b.name}: ${what}`);
  };
  if (a.tokenizerHash !== b.tokenizerHash) {
    refuse(
      `its tokenizer differs from that of ${a.name}, so their losses cannot be compared; train both with one data.tokenizer`,
    );
  }
  if (a.textHash !== b.textHash) {
    refuse(`its texts differ from those of ${a.name}; train both on the same data.train and data.valid`);
  }
  const evaluationOf = (config: RunRecord['config']) => {
    const { data, train } = lastConfig(config);
    return {
      'data.sequenceLength': JSON.stringify(config.data.sequenceLength), // samples of different lengths cannot be counted together
      'data.objective': data.objective,
      'data.packing': data.packing,
      'data.maskRate': data.maskRate,
      'data.wholeWord': data.wholeWord,
      'data.validFraction': data.valid.length > 0 ? 'none' : data.validFraction,
      'train.evalSamples': train.evalSamples,
    };
  };
  const [first, second] = [evaluationOf(a.config), evaluationOf(b.config)];
  for (const key of Object.keys(first) as (keyof typeof first)[]) {
    if (first[key] === second[key]) continue;
    refuse(`was evaluated with ${key} ${second[key]}, ${a.name} with ${first[key]}; train both with the same ${key}`);
  }
}
