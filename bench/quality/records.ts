import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { measuredHere } from '../records.ts';
import { type Rung, recipeOf, rungs, seeds, target } from './rungs.ts';

const path = fileURLToPath(new URL('../../../docs/results/quality.jsonl', import.meta.url));

/** What came of a training. */
export interface TrainedRung {
  rung: string;
  /** What the rung was then. */
  recipe: string;
  seed: number;
  steps: number;
  /** Held-out, of masked tokens. */
  accuracy: number;
  /** Held-out, in nats. */
  loss: number;
  date: string;
  processor: string;
}

/** All trainings so far of the rungs as they are now. */
export function records(): TrainedRung[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  const recipes = new Map(rungs.map((rung) => [rung.name, recipeOf(rung)]));
  return lines
    .map((line) => JSON.parse(line) as TrainedRung)
    .filter(({ rung, recipe }) => recipes.get(rung) === recipe);
}

export function keep(found: Pick<TrainedRung, 'rung' | 'recipe' | 'seed' | 'steps' | 'accuracy' | 'loss'>): void {
  appendFileSync(path, `${JSON.stringify({ ...found, ...measuredHere() })}\n`);
}

/** Of a rung with one seed: the longest training that missed the target, and the shortest that did not. */
export function bracket(
  all: readonly TrainedRung[],
  rung: Rung,
  seed: number,
): { below?: TrainedRung; above?: TrainedRung } {
  const own = all.filter((one) => one.rung === rung.name && one.seed === seed).sort((a, b) => a.steps - b.steps);
  const above = own.find(({ accuracy }) => accuracy >= target);
  const below = own.findLast(({ steps, accuracy }) => accuracy < target && steps < (above?.steps ?? Infinity));
  return { ...(below && { below }), ...(above && { above }) };
}

/**
 * How many steps to train next, until there is a training on either side of the target, at most a factor of 1.5 apart; undefined then.
 * Where the first seed missed the target after the most steps, the next one is trained for as many at once.
 */
export function nextSteps(all: readonly TrainedRung[], rung: Rung, seed: number): number | undefined {
  const { below, above } = bracket(all, rung, seed);
  const others = seeds.filter((other) => other !== seed).flatMap((other) => stepsToTarget(all, rung, other) ?? []);
  if (below && above) {
    if (above.steps <= 1.5 * below.steps) return undefined;
    return rounded(Math.sqrt(below.steps * above.steps));
  }
  if (above) return rounded(above.steps / 1.4);
  if (!below) {
    const isMissed = all.some((one) => one.rung === rung.name && one.steps === rung.maxSteps && one.accuracy < target);
    if (isMissed) return rung.maxSteps;
    return others[0] === undefined ? rung.firstSteps : rounded(others[0] / 1.2);
  }
  return below.steps < rung.maxSteps ? Math.min(rung.maxSteps, rounded(1.4 * below.steps)) : undefined;
}

/** The steps that take a rung to the target, by a line through both sides on logarithmic steps; undefined where it was not reached. */
export function stepsToTarget(all: readonly TrainedRung[], rung: Rung, seed: number): number | undefined {
  const { below, above } = bracket(all, rung, seed);
  if (!below || !above) return undefined;
  const part = (target - below.accuracy) / (above.accuracy - below.accuracy);
  return below.steps * (above.steps / below.steps) ** part;
}

/** To two digits. */
const rounded = (steps: number) => Number(steps.toPrecision(2));
