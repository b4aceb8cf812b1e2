import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constant, dense, depthMethods, fade, grow, layerdrop, pld, shallow, staged, timeOnly } from './index.ts';
import { profileRates } from './profile.ts';
import { type DepthSettings, depthMethod, depthWarnings, withShared } from './settings.ts';
import { type DepthState, expectedDepth } from './state.ts';

const near = (found: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);
const nearAll = (found: readonly number[], expected: readonly number[], tolerance?: number) => {
  assert.equal(found.length, expected.length);
  found.forEach((value, l) => {
    near(value, expected[l]!, tolerance);
  });
};
const settings: DepthSettings = {
  method: 'pld',
  thetaBar: 0.5,
  gamma: '100/T',
  profile: 'linear',
  granularity: 'batch',
  denseWarmupRatio: 0,
  newBlocks: 'copy',
  newMoments: 'fresh',
  tail: 0,
};

test('the mean depth of 12 blocks at θ = 0.5 is 8.75 for linear, 9.25 for linear0 and 6 for uniform', () => {
  near(expectedDepth(profileRates('linear', 12, 0.5)), 8.75);
  near(expectedDepth(profileRates('linear0', 12, 0.5)), 9.25);
  near(expectedDepth(profileRates('deepspeed', 12, 0.5)), 9.25);
  near(expectedDepth(profileRates('uniform', 12, 0.5)), 6);
});

test('linear keeps the top block with θ, linear0 always keeps the first', () => {
  nearAll(profileRates('linear', 4, 0.6), [0.9, 0.8, 0.7, 0.6]);
  nearAll(profileRates('linear0', 4, 0.6), [1, 0.9, 0.8, 0.7]);
});

test('dense keeps every block at every step and scales nothing', () => {
  const method = dense(3);
  for (const step of [0, 1000]) {
    assert.deepEqual(method(step), { theta: 1, keepRates: [1, 1, 1], branchScales: [1, 1, 1] });
  }
});

test('pld starts dense, ends at θ̄, and follows 1 − (l/L)(1 − θ(t)) between', () => {
  const method = pld({ layers: 12, thetaBar: 0.5, gamma: '100/T', profile: 'linear', totalSteps: 1000 });
  assert.deepEqual(method(0).keepRates, new Array(12).fill(1));
  near(expectedDepth(method(999).keepRates), 8.75, 1e-10);
  const atTen = 0.5 * Math.exp(-1) + 0.5; // γ·t = 0.1 · 10
  near(method(10).theta, atTen);
  near(method(10).keepRates[5]!, 1 - 0.5 * (1 - atTen));
});

test('pld scales by one over the very rate that it samples with', () => {
  const { keepRates, branchScales } = pld({ ...settings, layers: 12, totalSteps: 1000 })(500);
  nearAll(
    keepRates.map((keepRate, l) => keepRate * branchScales[l]!),
    new Array(12).fill(1),
  );
});

test("the deepspeed profile has its code's off-by-one: the first of 12 blocks is always kept and scaled by 1/0.958", () => {
  const { keepRates, branchScales } = pld({ ...settings, profile: 'deepspeed', layers: 12, totalSteps: 1000 })(999);
  near(keepRates[0]!, 1);
  near(1 / branchScales[0]!, 0.9583, 5e-5);
  near(keepRates[11]!, 0.5417, 5e-5);
  near(branchScales[11]!, 2, 1e-9);
  near(keepRates[0]! * branchScales[0]! - 1, 0.0435, 5e-5); // each branch is inflated by 4.3 % at the bottom
  near(keepRates[11]! * branchScales[11]! - 1, 0.0833, 5e-5); // and by 8.3 % at the top
});

test('constant has its keep rates from the first step on', () => {
  const method = constant({ layers: 4, thetaBar: 0.6, profile: 'linear' });
  for (const step of [0, 1, 1e6]) {
    nearAll(method(step).keepRates, [0.9, 0.8, 0.7, 0.6]);
    nearAll(method(step).branchScales, [1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6]);
  }
});

test('layerdrop keeps every block with θ̄ and scales nothing', () => {
  assert.deepEqual(layerdrop({ layers: 3, thetaBar: 0.8 })(7), {
    theta: 0.8,
    keepRates: [0.8, 0.8, 0.8],
    branchScales: [1, 1, 1],
  });
});

test('time-only keeps every block with θ(t), scaled', () => {
  const method = timeOnly({ layers: 2, thetaBar: 0.5, gamma: 0.1, totalSteps: 100 });
  const now = 0.5 * Math.exp(-1) + 0.5;
  assert.deepEqual(method(0).keepRates, [1, 1]);
  nearAll(method(10).keepRates, [now, now]);
  nearAll(method(10).branchScales, [1 / now, 1 / now]);
});

test('fade drops block l with p_max·(l/(L−1))·(1 − t/(T−1)), and saves p_max/4 of the blocks over the run', () => {
  const method = fade({ layers: 5, thetaBar: 0.2, totalSteps: 101 });
  nearAll(method(0).keepRates, [1, 0.8, 0.6, 0.4, 0.2]);
  nearAll(method(50).keepRates, [1, 0.9, 0.8, 0.7, 0.6]);
  nearAll(method(50).branchScales, [1, 1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6]);
  for (const step of [100, 101, 1000]) nearAll(method(step).keepRates, [1, 1, 1, 1, 1]);
  const depths = Array.from({ length: 101 }, (_, step) => expectedDepth(method(step).keepRates));
  near(1 - depths.reduce((a, b) => a + b) / 101 / 5, 0.8 / 4, 1e-10);
});

test('staged has stages of equal length and growing depth, the first and the last block always on, nothing scaled', () => {
  const method = staged({ layers: 12, stages: [6, 8, 10, 12], denseWarmupRatio: 0, totalSteps: 400 });
  for (const [step, depth] of [
    [0, 6],
    [99, 6],
    [100, 8],
    [200, 10],
    [299, 10],
    [300, 12],
    [399, 12],
    [400, 12],
  ] as const) {
    const { keepRates, branchScales } = method(step);
    near(expectedDepth(keepRates), depth);
    assert.deepEqual([keepRates[0], keepRates[11]], [1, 1]);
    nearAll(keepRates.slice(1, 11), new Array(10).fill((depth - 2) / 10));
    assert.deepEqual(branchScales, new Array(12).fill(1));
  }
});

test("staged's warm-up runs every block, and the stages share the remaining steps", () => {
  const method = staged({ layers: 6, stages: [3, 6], denseWarmupRatio: 0.2, totalSteps: 100 });
  const depths = [0, 19, 20, 59, 60, 99].map((step) => expectedDepth(method(step).keepRates));
  nearAll(depths, [6, 6, 3, 3, 6, 6]);
});

test('staged refuses a stage without middle blocks', () => {
  const stages = (depth: number) => () => staged({ layers: 6, stages: [depth], denseWarmupRatio: 0, totalSteps: 10 });
  assert.throws(stages(2), /stages: 2 is not in \(2, 6\]/);
  assert.throws(stages(7), RangeError);
  assert.throws(
    () => staged({ layers: 6, stages: [5, 4], denseWarmupRatio: 0, totalSteps: 10 }),
    /stages: 4 is less than the number before it/,
  );
  assert.throws(
    () => staged({ layers: 6, stages: [], denseWarmupRatio: 0, totalSteps: 10 }),
    /stages: missing or empty/,
  );
  assert.doesNotThrow(stages(6));
});

test('shallow runs its lowest blocks and no other', () => {
  const { keepRates, branchScales } = shallow({ layers: 4, blocks: 3 })(5);
  assert.deepEqual(
    [keepRates, branchScales],
    [
      [1, 1, 1, 0],
      [1, 1, 1, 1],
    ],
  );
});

test("fade saves what Don't Drop Dropout reports for its p_max: 15, 20 and 24.75 % of the blocks' work (Table 5)", () => {
  for (const [pMax, saved] of [
    [0.6, 0.15],
    [0.8, 0.2],
    [0.99, 0.2475],
  ] as const) {
    const method = fade({ layers: 32, thetaBar: 1 - pMax, totalSteps: 1000 });
    const depths = Array.from({ length: 1000 }, (_, step) => expectedDepth(method(step).keepRates));
    near(1 - depths.reduce((a, b) => a + b) / 1000 / 32, saved, 1e-9);
  }
});

const growing = { newBlocks: 'copy', newMoments: 'fresh' } as const;

test('grow runs the lowest blocks of each stage, and names the new ones only at its first step', () => {
  const method = grow({ ...growing, layers: 12, growBlocks: [3, 6, 12], growAt: [10, 30] });
  const depthAt = (step: number) => expectedDepth(method(step).keepRates);
  assert.deepEqual([0, 9, 10, 29, 30, 1000].map(depthAt), [3, 3, 6, 6, 12, 12]);
  assert.deepEqual(method(10).keepRates, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(method(10).branchScales, new Array(12).fill(1));
  for (const step of [0, 9, 11, 29, 31]) assert.equal(method(step).newBlocks, undefined, `step ${step}`);
  // Progressive stacking doubles: block l + k is a copy of block l.
  assert.deepEqual(
    method(30).newBlocks?.map(({ block, copyOf }) => [block, copyOf]),
    [6, 7, 8, 9, 10, 11].map((block) => [block, block - 6]),
  );
});

test("copies have the order of G_stack's file for 6 blocks that become 24", () => {
  // github.com/tongxuluo/prts, prts_configs/stacking_6L_24L.json
  const stackingList = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5];
  const { newBlocks } = grow({ ...growing, layers: 24, growBlocks: [6, 24], growAt: [1] })(1);
  const sources = Array.from({ length: 24 }, (_, l) => newBlocks!.find(({ block }) => block === l)?.copyOf ?? l);
  assert.deepEqual(sources, stackingList);
});

test('new blocks carry moments where they are to, come from the seed, or are the identities that they were', () => {
  const bornAs = (how: Partial<Parameters<typeof grow>[0]>) =>
    grow({ ...growing, layers: 2, growBlocks: [1, 2], growAt: [5], ...how })(5).newBlocks;
  assert.deepEqual(bornAs({}), [{ block: 1, copyOf: 0, copiesMoments: false }]);
  assert.deepEqual(bornAs({ newMoments: 'copy' }), [{ block: 1, copyOf: 0, copiesMoments: true }]);
  assert.deepEqual(bornAs({ newBlocks: 'random' }), [{ block: 1 }]);
  assert.equal(bornAs({ newBlocks: 'identity' }), undefined);
  assert.throws(() => bornAs({ growAt: [] }), /growAt: has 0 steps for the 2 stages/);
});

test('a scale that is set is that of any method: 1/p or 1, and 1 for a block that never runs', () => {
  const given = { ...settings, stages: [6, 12], blocks: 9, growBlocks: [3, 12], growAt: [100] };
  for (const method of Object.keys(depthMethods) as DepthSettings['method'][]) {
    if (method === 'own') continue;
    for (const step of [0, 100, 199]) {
      const stateOf = (scale?: 'inverse' | 'none'): DepthState =>
        depthMethod({ ...given, method, scale }, 12, 200)(step);
      const { branchScales, ...published } = stateOf();
      const inverse = published.keepRates.map((p) => (p === 0 ? 1 : 1 / p));
      const none = new Array(12).fill(1);
      assert.deepEqual(stateOf('inverse'), { ...published, branchScales: inverse }, method);
      assert.deepEqual(stateOf('none'), { ...published, branchScales: none }, method);
      assert.deepEqual(branchScales, ['layerdrop', 'staged'].includes(method) ? none : inverse, method);
    }
  }
  // DeepSpeed's off-by-one is a scale of its own.
  const deepspeed = (scale?: 'inverse') => depthMethod({ ...settings, profile: 'deepspeed', scale }, 12, 200)(199);
  assert.deepEqual(deepspeed('inverse'), depthMethod({ ...settings, profile: 'linear0' }, 12, 200)(199));
  assert.notDeepEqual(deepspeed(), deepspeed('inverse'));
});

test('the settings name the method', () => {
  const depthAt = (changes: Partial<DepthSettings>, step: number) =>
    expectedDepth(depthMethod({ ...settings, ...changes }, 12, 1000)(step).keepRates);
  near(depthAt({ method: 'dense' }, 999), 12);
  near(depthAt({}, 999), 8.75, 1e-10);
  near(depthAt({ method: 'constant' }, 0), 8.75);
  near(depthAt({ method: 'layerdrop' }, 0), 6);
  near(depthAt({ method: 'time-only' }, 999), 6, 1e-10);
  near(depthAt({ method: 'fade' }, 0), 9);
  near(depthAt({ method: 'staged', stages: [6, 12] }, 0), 6);
  near(depthAt({ method: 'shallow', blocks: 9 }, 0), 9);
  near(depthAt({ method: 'grow', growBlocks: [3, 12], growAt: [100] }, 0), 3);
});

test('in the tail every block runs, unscaled, under any method; before it nothing is different', () => {
  for (const name of ['pld', 'constant', 'layerdrop', 'time-only', 'fade', 'staged', 'shallow'] as const) {
    const given = { ...settings, method: name, stages: [6, 12], blocks: 9 };
    const [plain, tailed] = [depthMethod(given, 12, 200), depthMethod({ ...given, tail: 0.1 }, 12, 200)];
    for (const step of [0, 100, 179]) assert.deepEqual(tailed(step), plain(step), name);
    for (const step of [180, 199, 1000]) assert.deepEqual(tailed(step), dense(12)(step), name);
  }
});

test("a program's method adds its new blocks in the tail as well", () => {
  const added = [{ block: 1 }];
  const own = (step: number): DepthState => {
    const state = { theta: 1, keepRates: [1, step < 85 ? 0 : 0.5], branchScales: [1, 2] };
    return step === 85 ? { ...state, newBlocks: added } : state;
  };
  const method = withShared(own, { scale: undefined, tail: 0.2 }, 2, 100);
  assert.deepEqual(method(84), dense(2)(84));
  assert.deepEqual(method(85), { ...dense(2)(85), newBlocks: added });
});

test('a θ̄ outside (0, 1] is refused by every method that reads it', () => {
  for (const thetaBar of [0, -3, 1.5, Number.NaN]) {
    const options = { ...settings, layers: 4, totalSteps: 10, thetaBar };
    for (const method of [pld, timeOnly, constant, layerdrop, fade]) {
      const expected = { name: 'RangeError', message: `thetaBar: ${thetaBar} is not in (0, 1]; 0.5 is the paper's` };
      assert.throws(() => method(options), expected);
    }
  }
  assert.deepEqual(constant({ layers: 2, thetaBar: 1, profile: 'linear' })(0).keepRates, [1, 1]);
});

test('shallow refuses a number of blocks that the model does not have', () => {
  for (const blocks of [9, -1, 2.5, Number.NaN]) {
    const message = `blocks: ${blocks} is not an integer from 0 to 4, the number of layers`;
    assert.throws(() => shallow({ layers: 4, blocks }), { name: 'RangeError', message });
  }
  assert.equal(expectedDepth(shallow({ layers: 1, blocks: 0 })(0).keepRates), 0);
});

test('grow refuses the stages that a configuration may not have', () => {
  const refused = (how: Partial<Parameters<typeof grow>[0]>, message: RegExp) =>
    assert.throws(() => grow({ ...growing, layers: 4, growBlocks: [2, 4], growAt: [5], ...how }), {
      name: 'RangeError',
      message,
    });
  refused({ growBlocks: [4, 2] }, /growBlocks: ends with 2, but model\.layers is 4/);
  refused({ growBlocks: [3, 2, 4], growAt: [5, 6] }, /growBlocks: 2 is not more than the number before it/);
  refused({ growBlocks: [Number.NaN, 4] }, /growBlocks: NaN is not more than the number before it/);
  refused({ growBlocks: [1, 2, 4], growAt: [6, 5] }, /growAt: 5 is not after the step before it/);
  refused({ growBlocks: [0, 4] }, /newBlocks: copy has nothing to copy/);
  refused({ newBlocks: 'random', newMoments: 'copy' }, /newMoments: copy needs depth\.newBlocks: copy/);
});

test('a method that lacks a setting is refused, not silently run dense', () => {
  assert.throws(() => depthMethod({ ...settings, method: 'staged' }, 12, 10), /stages: missing/);
  assert.throws(() => depthMethod({ ...settings, method: 'shallow' }, 12, 10), /blocks: missing/);
});

test('only a method with a γ is warned of a slow one', () => {
  assert.equal(depthWarnings({ ...settings, gamma: 0.001 }, 12, 1000).length, 1);
  assert.equal(depthWarnings({ ...settings, method: 'time-only', gamma: 0.001 }, 12, 1000).length, 1);
  assert.deepEqual(depthWarnings(settings, 12, 1000), []);
  const fade = { ...settings, method: 'fade', gamma: 0.001 } as const;
  assert.deepEqual(depthWarnings(fade, 12, 1000), ['depth.gamma: a setting of pld, time-only; fade ignores it']);
});
