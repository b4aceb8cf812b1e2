import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { type Config, loadConfig } from '../config/index.ts';
import { isBeingTrained } from '../files/index.ts';
import { RunReader } from '../report/run-view.ts';
import { textName } from '../report/titles.ts';
import { type FineTuning, fineTuningFile, lastMetrics, readFineTuning, type StepMetrics } from '../runs/index.ts';
import type { RunItem, RunList, ShownRun, TuningItem } from './api.ts';

/** The depth to which subfolders are searched for runs. */
const deepest = 4;
/** The number of last steps from which the remaining time is estimated. */
const numTimedSteps = 20;

/** A run as read for the list, with the modification times of its files. */
interface Known {
  configTime: number;
  metricsTime: number;
  config: Config | undefined;
  end: ReturnType<typeof lastMetrics>;
}

/** A fine-tuned model as read for the list, with the modification times of its files. */
interface KnownTuning {
  times: string;
  /** Null for other models than fine-tuned ones. */
  tuning: { started: number; record: FineTuning | null } | null;
}

/** Folders by their names in the list. */
type Folders = Map<string, string>;

/** The runs and fine-tuned models below a folder, or the folder itself if it is one. */
export class Runs {
  readonly #folder: string;
  readonly #known = new Map<string, Known>();
  readonly #knownTunings = new Map<string, KnownTuning>();
  readonly #watched = new Map<string, RunReader>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Newest first. */
  list(): RunList {
    const { runs, models } = this.#folders();
    const there = new Set([...runs.values(), ...models.values()]);
    for (const kept of [this.#known, this.#knownTunings, this.#watched])
      for (const folder of kept.keys()) if (!there.has(folder)) kept.delete(folder);
    return {
      runs: [...runs].map(([name, folder]) => this.#item(name, folder)).sort(newestFirst),
      tunings: [...models].flatMap(([name, folder]) => this.#tuning(name, folder, runs)).sort(newestFirst),
    };
  }

  /** The folder of a listed run. Files are only opened for listed names. */
  folderOf(name: string): string | undefined {
    return this.#folders().runs.get(name);
  }

  /** A run in full as it is now, and a version string that changes whenever the run does; undefined for an unknown name. */
  async view(name: string): Promise<{ version: string; view: () => ShownRun } | undefined> {
    const folder = this.folderOf(name);
    if (folder === undefined) return undefined;
    let run = this.#watched.get(folder);
    if (!run) {
      run = new RunReader(folder);
      this.#watched.set(folder, run);
    }
    const changes = await run.read();
    const item = this.#item(name, folder);
    return { version: JSON.stringify([changes, item]), view: () => ({ ...item, ...run.view() }) };
  }

  /** Symbolic links are followed last. Each folder is searched once; folders that contain the folder of runs are not searched. */
  #folders(): { runs: Folders; models: Folders } {
    const [runs, models]: [Folders, Folders] = [new Map(), new Map()];
    const root = realPath(this.#folder);
    const seen = new Set<string>();
    const links: [folder: string, names: readonly string[]][] = [];
    const holderOf = (folder: string) => {
      const has = (name: string) => isFile(join(folder, name));
      if (!has('config.json')) return undefined;
      return has('metrics.jsonl') || has('lock') ? runs : has('trainer.json') ? models : undefined;
    };
    const look = (folder: string, names: readonly string[]) => {
      const real = realPath(folder);
      if (real === undefined || seen.has(real)) return;
      seen.add(real);
      const holder = holderOf(folder);
      if (holder) {
        holder.set(names.length > 0 ? names.join('/') : basename(resolve(folder)), folder);
        return;
      }
      if (names.length === deepest) return;
      for (const entry of entriesOf(folder)) {
        if (entry.name.startsWith('.')) continue;
        const below = [...names, entry.name];
        if (entry.isDirectory()) look(join(folder, entry.name), below);
        else if (entry.isSymbolicLink()) links.push([join(folder, entry.name), below]);
      }
    };
    look(this.#folder, []);
    for (const [folder, names] of links) {
      const real = realPath(folder);
      if (real !== undefined && !`${root}${sep}`.startsWith(real.endsWith(sep) ? real : real + sep))
        look(folder, names);
    }
    return { runs, models };
  }

  #item(name: string, folder: string): RunItem {
    try {
      return this.#readItem(name, folder);
    } catch {
      const nothing = { step: 0, steps: 0, loss: null, heldOutLoss: null, secondsLeft: null };
      return { name, folder, started: 0, state: 'broken', text: '', method: '', ...nothing };
    }
  }

  #readItem(name: string, folder: string): RunItem {
    const { config, configTime, end } = this.#knownOf(folder);
    const [last] = end.steps;
    const step = last?.step ?? 0;
    const steps = config?.train.steps ?? 0;
    const isTraining = isBeingTrained(folder);
    return {
      name,
      folder,
      started: configTime,
      state: !config ? 'broken' : isTraining ? 'training' : step >= steps ? 'done' : 'stopped',
      text: config ? textName(config.data.train) : '',
      method: config?.depth.method ?? '',
      step,
      steps,
      loss: last?.loss ?? null,
      heldOutLoss: end.evaluation?.loss ?? null,
      secondsLeft: isTraining && last ? (steps - step) * meanSeconds(end.steps) : null,
    };
  }

  /** The fine-tuned model in a folder; empty for another model. */
  #tuning(name: string, folder: string, runs: Folders): TuningItem[] {
    const times = [fineTuningFile, 'trainer.json'].map((file) => timeOf(join(folder, file))).join();
    let known = this.#knownTunings.get(folder);
    if (known?.times !== times) {
      known = { times, tuning: tuningOf(folder) };
      this.#knownTunings.set(folder, known);
    }
    const { tuning } = known;
    if (!tuning) return [];
    const from = tuning.record && realPath(resolve(folder, tuning.record.from));
    const isParent = ([, run]: [string, string]) => {
      const real = realPath(run);
      return from && real && `${from}${sep}`.startsWith(real + sep);
    };
    const parent = from ? ([...runs].find(isParent)?.[0] ?? null) : null;
    return [{ name, folder, parent, ...tuning }];
  }

  #knownOf(folder: string): Known {
    const metrics = join(folder, 'metrics.jsonl');
    const configFile = join(folder, 'config.json');
    const [configTime, metricsTime] = [timeOf(configFile), timeOf(metrics)];
    const before = this.#known.get(folder);
    if (before?.configTime === configTime && before.metricsTime === metricsTime) return before;
    const known: Known = {
      configTime,
      metricsTime,
      config: before?.configTime === configTime ? before.config : configOf(configFile),
      end: metricsTime === 0 ? { steps: [] } : lastMetrics(metrics, numTimedSteps),
    };
    this.#known.set(folder, known);
    return known;
  }
}

const newestFirst = (a: RunItem | TuningItem, b: RunItem | TuningItem) =>
  b.started - a.started || (a.name < b.name ? -1 : 1);

/** When a file was last changed, in milliseconds; 0 if it is missing. */
const timeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** What is known of a fine-tuned model; null for another model, or if it cannot be read. */
function tuningOf(folder: string): KnownTuning['tuning'] {
  const file = join(folder, 'trainer.json');
  const record = readFineTuning(folder) ?? null;
  if (record) return { started: Date.parse(record.time), record };
  try {
    const { head } = JSON.parse(readFileSync(file, 'utf8')) as { head?: object };
    return head ? { started: timeOf(file), record } : null;
  } catch {
    return null;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The resolved path; undefined for a broken link. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** The entries of a folder; empty if it cannot be read or is gone. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

const meanSeconds = (steps: readonly StepMetrics[]) =>
  steps.reduce((sum, { stepSeconds }) => sum + stepSeconds, 0) / steps.length;

function configOf(file: string): Config | undefined {
  try {
    return loadConfig({ file }).config;
  } catch {
    return undefined; // the list shows it as broken, whatever the error
  }
}
