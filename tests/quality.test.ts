import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextSteps, stepsToTarget, type TrainedRung } from '../bench/quality/records.ts';
import { type Rung, recipeOf, rungs, setsOf, target } from '../bench/quality/rungs.ts';
import { type Climbed, ladder } from '../bench/quality/table.ts';
import { loadConfig } from '../src/config/index.ts';

const rung: Rung = { name: 'muon', program: 'taper', label: 'a rung', firstSteps: 1000, maxSteps: 4000 };

/** All trainings of a rung whose accuracy is a function of the steps, with one seed after the other. */
function climbed(accuracyOf: (steps: number, seed: number) => number): TrainedRung[] {
  const all: TrainedRung[] = [];
  for (const seed of [1, 2]) {
    for (let steps = nextSteps(all, rung, seed); steps !== undefined; steps = nextSteps(all, rung, seed)) {
      all.push({
        rung: rung.name,
        recipe: '',
        seed,
        steps,
        accuracy: accuracyOf(steps, seed),
        loss: 1,
        date: '',
        processor: '',
      });
      assert.ok(all.length < 20, JSON.stringify(all));
    }
  }
  return all;
}

/** Accuracy that reaches the target at this number of steps and grows with their logarithm. */
const growing = (at: number) => (steps: number) => target + 0.05 * Math.log2(steps / at);

test('a rung is trained until both sides of the target are within a factor of 1.5, and a line between them finds the steps', () => {
  for (const at of [150, 700, 1000, 1013, 2345]) {
    const all = climbed(growing(at));
    for (const seed of [1, 2]) {
      assert.ok(Math.abs(stepsToTarget(all, rung, seed)! / at - 1) < 1e-9, `${at}`);
      const steps = all.filter((one) => one.seed === seed).map((one) => one.steps);
      const [below, above] = [
        Math.max(...steps.filter((count) => count < at)),
        Math.min(...steps.filter((count) => count >= at)),
      ];
      assert.ok(above <= 1.5 * below, `${at}: ${steps}`);
    }
    assert.equal(all.filter(({ seed }) => seed === 2).length, 2, `${at}`); // it begins where the first seed ended
  }
});

test('a rung that does not reach the target is not trained for more steps than its most', () => {
  const all = climbed(() => target - 0.1);
  assert.deepEqual(
    all.map(({ steps }) => steps),
    [1000, 1400, 2000, 2800, 3900, 4000, 4000], // the second seed for the most steps at once
  );
  assert.equal(stepsToTarget(all, rung, 1), undefined);
});

test('every rung of taper is a valid configuration', () => {
  for (const each of rungs.slice(1)) {
    const { config } = loadConfig({ file: 'configs/quality.yaml', sets: setsOf(each) });
    assert.equal(config.model.layers, 12, each.name);
  }
});

test('rungs of other settings have other recipes, and a label is none', () => {
  const recipes = rungs.map(recipeOf);
  assert.equal(new Set(recipes.slice(1)).size, rungs.length - 1); // transformers' sets nothing
  assert.equal(recipeOf({ ...rungs[1]!, label: 'another label' }), recipes[1]);
});

test('speed-ups say what is known where a target was missed', () => {
  const climbed = (name: string, on: string | undefined, steps: (number | undefined)[]): Climbed => ({
    rung: { name, program: 'taper', label: name, firstSteps: 1, maxSteps: 1, ...(on !== undefined && { on }) },
    steps,
    longest: 900,
    reached: [0.1, 0.2],
    seconds: [0.9, 1, 1.1],
  });
  const [, ...rows] = ladder([
    climbed('first', undefined, [undefined, 900]),
    climbed('second', undefined, [undefined, undefined]),
    climbed('third', 'second', [300, 600]),
    climbed('fourth', 'third', [undefined, 900]),
  ]);
  assert.deepEqual(rows, [
    ['first', '> 900: 10.0 % and 20.0 %', '1000 (900–1100)', '> 15.0', '', ''],
    ['second', '> 900: 10.0 % and 20.0 %', '1000 (900–1100)', '> 15.0', '', ''],
    ['third', '450 (300–600)', '1000 (900–1100)', '7.5', '> 2.00', '> 2.00'],
    ['fourth', '> 900: 10.0 % and 20.0 %', '1000 (900–1100)', '> 15.0', '< 0.50', ''],
  ]);
});
