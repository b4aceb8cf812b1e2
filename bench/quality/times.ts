import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programs } from './programs.ts';
import type { Rung } from './rungs.ts';

const steps = 80; // the whole schedule of θ fits into them
const threads = 2; // as the page says

/** Seconds per step of each rung, the mean over a short run of its recipe, in each round; within a round the rungs run in turn. */
export function stepTimes(books: string, rungs: readonly Rung[], rounds: number): Map<Rung, number[]> {
  const times = new Map<Rung, number[]>(rungs.map((rung) => [rung, []]));
  const folder = mkdtempSync(join(tmpdir(), 'taper-quality-'));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const rung of rungs) {
        const out = join(folder, `${rung.name}-${round}`);
        const seconds = programs[rung.program].time({ rung, seed: 1, steps, books, threads, out });
        times.get(rung)!.push(seconds);
        console.log(`${rung.name}: ${(1000 * seconds).toFixed(0)} ms per step`);
      }
    }
    return times;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
