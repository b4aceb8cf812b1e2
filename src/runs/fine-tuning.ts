import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The file of a fine-tuned model that holds its record. */
export const fineTuningFile = 'fine-tuning.json';

/** The scores of a set of examples, by their names. */
export interface ScoredSet {
  set: string;
  scores: Readonly<Record<string, number>>;
}

/** The record of a fine-tuning, written beside its model as `fine-tuning.json`. */
export interface FineTuning {
  /** The path of the pre-trained checkpoint or run, relative to the folder of the model. */
  from: string;
  /** When it ended, ISO 8601. */
  time: string;
  command: readonly string[];
  task: string;
  /** Null for embeddings. */
  labels: readonly string[] | null;
  /** The number of training examples. */
  examples: number;
  /** Each seed: the scores of its best epoch, and the deciding score after each epoch. */
  seeds: readonly {
    seed: number;
    bestEpoch: number;
    devs: readonly ScoredSet[];
    tests: readonly ScoredSet[];
    history: readonly number[];
  }[];
  /** The deciding score; null without a development set. */
  decidedBy: string | null;
  /** The scores of predictions without a model, such as always the most frequent label. */
  baselines: readonly { name: string; sets: readonly ScoredSet[] }[];
}

/** The record of the fine-tuned model in a folder; undefined if it has none or it is broken. */
export function readFineTuning(folder: string): FineTuning | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, fineTuningFile), 'utf8')) as FineTuning;
    const isWhole =
      typeof record.from === 'string' &&
      typeof record.time === 'string' &&
      typeof record.task === 'string' &&
      [record.command, record.seeds, record.baselines].every(Array.isArray);
    return isWhole ? record : undefined;
  } catch {
    return undefined;
  }
}
