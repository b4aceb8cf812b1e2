import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { type Config, loadConfig } from '../config/index.ts';
import { isBeingTrained } from '../files/index.ts';
import { RunReader } from '../report/run-view.ts';
import { lastMetrics, type StepMetrics } from '../runs/index.ts';
import type { RunItem, ShownRun } from './api.ts';

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

/** The runs below a folder, or the folder itself if it is a run. */
export class Runs {
  readonly #folder: string;
  readonly #known = new Map<string, Known>();
  readonly #watched = new Map<string, RunReader>();

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  /** Sorted by name. */
  list(): RunItem[] {
    const folders = this.#folders();
    const there = new Set(folders.values());
    for (const kept of [this.#known, this.#watched])
      for (const folder of kept.keys()) if (!there.has(folder)) kept.delete(folder);
    return [...folders].map(([name, folder]) => this.#item(name, folder)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The folder of a listed run. Files are only opened for listed names. */
  folderOf(name: string): string | undefined {
    return this.#folders().get(name);
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
  #folders(): Map<string, string> {
    const found = new Map<string, string>();
    const root = realPath(this.#folder);
    const seen = new Set<string>();
    const links: [folder: string, names: readonly string[]][] = [];
    const isRun = (folder: string) =>
      isFile(join(folder, 'config.json')) && (isFile(join(folder, 'metrics.jsonl')) || isFile(join(folder, 'lock')));
    const look = (folder: string, names: readonly string[]) => {
      const real = realPath(folder);
      if (real === undefined || seen.has(real)) return;
      seen.add(real);
      if (isRun(folder)) {
        found.set(names.length > 0 ? names.join('/') : basename(folder), folder);
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
    return found;
  }

  #item(name: string, folder: string): RunItem {
    try {
      return this.#readItem(name, folder);
    } catch {
      const nothing = { step: 0, steps: 0, loss: null, heldOutLoss: null, secondsLeft: null };
      return { name, state: 'broken', method: '', ...nothing };
    }
  }

  #readItem(name: string, folder: string): RunItem {
    const { config, end } = this.#knownOf(folder);
    const [last] = end.steps;
    const step = last?.step ?? 0;
    const steps = config?.train.steps ?? 0;
    const isTraining = isBeingTrained(folder);
    return {
      name,
      state: !config ? 'broken' : isTraining ? 'training' : step >= steps ? 'done' : 'stopped',
      method: config?.depth.method ?? '',
      step,
      steps,
      loss: last?.loss ?? null,
      heldOutLoss: end.evaluation?.loss ?? null,
      secondsLeft: isTraining && last ? (steps - step) * meanSeconds(end.steps) : null,
    };
  }

  #knownOf(folder: string): Known {
    const metrics = join(folder, 'metrics.jsonl');
    const configFile = join(folder, 'config.json');
    const timeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
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
