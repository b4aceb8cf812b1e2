import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where it is kept what came of each training. */
export const recordsFolder = fileURLToPath(new URL('../../../docs/results/records/depth', import.meta.url));
mkdirSync(recordsFolder, { recursive: true });

/** What came of a training. */
export interface TrainedRecord {
  setting: string;
  seed: number;
  steps: number;
  /** Blocks that ran, the mean over all steps. */
  meanDepth: number;
  /** Held-out loss in nats after so many steps. */
  losses: [step: number, loss: number][];
  date: string;
  processor: string;
}

/** When and on what something was measured. */
export function here(): { date: string; processor: string } {
  return { date: new Date().toISOString().slice(0, 10), processor: cpus()[0]?.model.trim() ?? 'unknown' };
}

const pathOf = (setting: string, seed: number) => join(recordsFolder, `${setting}-${seed}.json`);

export function recordOf(setting: string, seed: number): TrainedRecord | undefined {
  const path = pathOf(setting, seed);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as TrainedRecord) : undefined;
}

export function keep(record: Omit<TrainedRecord, 'date' | 'processor'>): void {
  writeFileSync(pathOf(record.setting, record.seed), `${JSON.stringify({ ...record, ...here() })}\n`);
}
