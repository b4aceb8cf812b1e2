import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetrics } from '../../src/runs/index.ts';
import { runCommand, runTrainer } from '../programs.ts';
import type { Rung } from './rungs.ts';
import { setsOfRun, trainerFlags } from './train.ts';

const steps = 80; // θ, batches and learning rates go through a whole run's in them
const threads = 2; // as the page says

/** Seconds of a step of each rung, the mean over a short run of its recipe: `rounds` of them, the rungs in turn. */
export function stepTimes(books: string, rungs: readonly Rung[], rounds: number): Map<Rung, number[]> {
  const times = new Map<Rung, number[]>(rungs.map((rung) => [rung, []]));
  const flags = trainerFlags(threads);
  const folder = mkdtempSync(join(tmpdir(), 'taper-quality-'));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const rung of rungs) {
        const out = join(folder, `${rung.name}-${round}`);
        const seconds =
          rung.name === 'transformers'
            ? runTrainer([...flags, '--out', out, '--steps', `${steps}`]).step_s_mean
            : secondsOfTaper(out, setsOfRun(rung, { seed: 1, steps, books, threads }));
        times.get(rung)!.push(seconds);
        console.log(`${rung.name}: ${(1000 * seconds).toFixed(0)} ms a step`);
      }
    }
    return times;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function secondsOfTaper(out: string, sets: readonly string[]): number {
  runCommand(['pretrain', 'configs/quality.yaml', '--out', out, '--set', ...sets, 'train.saveEvery=0']);
  const lines = readMetrics(join(out, 'metrics.jsonl')).filter((line) => line.type === 'step');
  const timed = lines.slice(1); // memory is laid out in the first
  return timed.reduce((sum, { stepSeconds }) => sum + stepSeconds, 0) / timed.length;
}
