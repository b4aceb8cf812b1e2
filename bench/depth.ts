import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../src/config/index.ts';
import { type RunRecord, readRun } from '../src/report/index.ts';
import { type Setting, settings } from './depth-settings.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runs = join(root, 'runs/depth');
/** Where the record of each training is kept. */
export const recordsFolder = join(root, 'docs/results/depth');

/** A training of the comparison, and where its record is kept. */
export interface Training extends Setting {
  seed: number;
  id: string;
}

/** What is kept of a training: the record without paths, and when and on what it was trained. */
export interface StoredRecord extends RunRecord {
  date: string;
  processor: string;
}

export const trainings: Training[] = [1, 2].flatMap((seed) =>
  settings
    .filter(({ seeds }) => seeds.includes(seed))
    .map((setting) => ({ ...setting, seed, id: `${setting.name}-${seed}` })),
);

export function recordOf({ id }: Training): StoredRecord | undefined {
  const path = join(recordsFolder, `${id}.json`);
  if (!existsSync(path)) return undefined;
  const record = JSON.parse(readFileSync(path, 'utf8')) as StoredRecord;
  const { config } = loadConfig({ overrides: record.config }); // with the defaults of keys that have come since
  return { ...record, config };
}

/**
 * Trains what has no record yet, `jobs` trainings at a time, each on its part of the processors. One that was stopped goes
 * on; a record that is there is kept. One that fails, as a diverging one does, is told and left out.
 */
export async function trainAll(data: string, jobs: number): Promise<void> {
  const train = [`${data}/train-*.jsonl.gz`];
  const valid = [`${data}/valid.jsonl.gz`];
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  const waiting = trainings.filter((training) => recordOf(training) === undefined);
  mkdirSync(runs, { recursive: true });
  mkdirSync(recordsFolder, { recursive: true });
  const work = async (worker: number) => {
    // The first one prepares the texts for all.
    while (worker > 0 && waiting.length > 0 && !existsSync(join(runs, 'prepared'))) await sleep(1000);
    for (let training = waiting.shift(); training; training = waiting.shift()) {
      try {
        await trainOne(training, { train, valid, threads });
        keep(training);
      } catch (error) {
        console.error(`${training.id}: ${(error as Error).message}`); // the others go on
        process.exitCode = 1;
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, worker) => work(worker)));
}

async function trainOne({ id, sets, seed }: Training, texts: { train: string[]; valid: string[]; threads: number }) {
  const out = join(runs, id);
  const all = [
    ...sets,
    `train.seed=${seed}`,
    `data.train=${JSON.stringify(texts.train)}`,
    `data.valid=${JSON.stringify(texts.valid)}`,
    `data.cache=${join(runs, 'cache')}`,
    `train.threads=${texts.threads}`,
  ];
  const args = ['dist/src/cli/main.js', 'pretrain', 'configs/depth.yaml', '--out', out, '--resume', '--set', ...all];
  console.log(`${new Date().toISOString()}  ${id}`);
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (child.exitCode === null && child.signalCode === null && !existsSync(join(out, 'metrics.jsonl')))
    await sleep(500);
  writeFileSync(join(runs, 'prepared'), '');
  const code = await closed;
  if (code !== 0) throw new Error(`ended with exit code ${code}; run the command again to go on\n${said}`);
}

function keep(training: Training): void {
  const record = readRun(join(runs, training.id), console.warn);
  const { model, depth, data, train } = record.config;
  const stored: StoredRecord = {
    ...record,
    name: training.label,
    config: { model, depth, data: { ...data, train: [], valid: [], cache: '.' }, train },
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
  };
  writeFileSync(join(recordsFolder, `${training.id}.json`), `${JSON.stringify(stored)}\n`);
}
