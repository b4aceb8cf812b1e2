import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { booksIn } from '../books.ts';
import { programs } from './programs.ts';
import { keep, nextSteps, records } from './records.ts';
import { recipeOf, rungs, seeds } from './rungs.ts';
import { score } from './score.ts';
import { cache, runs } from './texts.ts';

/**
 * Trains what the ladder lacks, or those of its rungs that are named: all of them with one seed, then with the next. A training that was
 * stopped resumes; one that has a record is not repeated.
 */
export async function trainLadder(books: string, names: readonly string[], threads: number): Promise<void> {
  const wanted = rungs.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const seed of seeds) {
    for (const rung of wanted) {
      for (let steps = nextSteps(records(), rung, seed); steps; steps = nextSteps(records(), rung, seed)) {
        const out = join(runs, `${rung.name}-${seed}-${steps}`);
        const checkpoint = programs[rung.program].train({ rung, seed, steps, books, threads, out });
        const { tokenAccuracy, tokenLoss } = await score(checkpoint, booksIn(books, cache));
        keep({ rung: rung.name, recipe: recipeOf(rung), seed, steps, accuracy: tokenAccuracy, loss: tokenLoss });
        rmSync(out, { recursive: true });
        console.log(`${rung.name}, seed ${seed}: ${(100 * tokenAccuracy).toFixed(2)} % after ${steps} steps`);
      }
    }
  }
}
