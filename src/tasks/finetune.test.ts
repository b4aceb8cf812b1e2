import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Checkpoint, loadWeights } from '../checkpoints/index.ts';
import { untrained } from '../checkpoints/untrained.fixture.ts';
import { loadConfig } from '../config/index.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { ConfigError, DataError } from '../errors/index.ts';
import { liveTensors, scope, setNumThreads } from '../tensor/index.ts';
import { InterruptedError } from '../train/index.ts';
import { fineTune } from './finetune.ts';
import { pairKind } from './pairs/kind.ts';
import { type FineTuneSettings, fineTuneDefaults } from './settings.ts';
import { tagKind } from './tags/kind.ts';
import type { Task } from './task.ts';

setNumThreads(1); // these models are too small for two
const folder = mkdtempSync(join(tmpdir(), 'taper-finetune-'));
after(() => rmSync(folder, { recursive: true }));
const tokenizer = wordTokenizer(60);
const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => `w${(from + i) % 60}`);

const settings: FineTuneSettings = {
  ...fineTuneDefaults,
  learningRate: 1e-3,
  epochs: 2,
  batchSize: 8,
  dropout: 0,
  seed: 1,
  precision: 'fp32',
  device: 'cpu',
};

const checkpoints: Record<string, Checkpoint> = {};
before(() => {
  for (const kind of ['modernbert', 'bert'] as const) {
    const { config } = loadConfig({
      overrides: {
        model: { kind, layers: 2, hiddenSize: 32, heads: 2, vocabSize: tokenizer.vocabSize, maxPositions: 32 },
        data: { objective: 'mlm', sequenceLength: 32 },
        train: { steps: 1 },
      },
    });
    checkpoints[kind] = untrained(join(folder, kind), config, tokenizer.json);
  }
});

const head = { kind: 'embedding', pooling: 'mean', normalized: true, dimensions: [] } as const;
const pairs = (from: number, count: number) => ({
  name: 'set',
  examples: Array.from({ length: count }, (_, i) => ({
    texts: [words(from + 3 * i, 2 + (i % 5)).join(' '), words(from + 3 * i + 1, 3).join(' ')],
  })),
});
const pairTask: Task = {
  name: 'pairs',
  kind: pairKind(head, { temperature: 0.1, isScored: false }),
  train: pairs(0, 24),
  devs: [pairs(7, 12)],
  tests: [],
};
const sentences = (from: number, count: number) => ({
  name: 'set',
  examples: Array.from({ length: count }, (_, i) => {
    const own = words(from + 5 * i, 1 + (i % 7));
    return { form: 'columns' as const, words: own, tags: own.map((word) => (Number(word.slice(1)) % 3 === 0 ? 1 : 0)) };
  }),
});
const tagTask: Task = {
  name: 'tags',
  kind: tagKind(['O', 'B-X']),
  train: sentences(0, 48),
  devs: [sentences(11, 20)],
  tests: [],
};

async function tuned(kind: string, task: Task, more: Partial<FineTuneSettings> = {}) {
  const losses: number[] = [];
  const result = await fineTune(
    checkpoints[kind]!,
    task,
    { ...settings, ...more },
    { step: (_, __, loss) => losses.push(loss) },
  );
  const weights = new Map(Array.from(result.weights, ([name, weight]) => [name, weight.toFloats()]));
  for (const weight of result.weights.values()) weight.free();
  return { ...result, losses, weights };
}

for (const kind of ['modernbert', 'bert']) {
  for (const [name, task] of Object.entries({ pairs: pairTask, tags: tagTask })) {
    test(`micro-batches train a ${kind} on ${name} like the whole batch`, async () => {
      const before = liveTensors();
      const whole = await tuned(kind, task);
      const parts = await tuned(kind, task, { microBatchSize: 3 });
      assert.equal(liveTensors(), before);
      assert.equal(whole.losses.length, parts.losses.length);
      for (const [i, loss] of whole.losses.entries()) {
        assert.ok(
          Math.abs(parts.losses[i]! - loss) < 1e-5 * Math.max(1, loss),
          `step ${i}: ${parts.losses[i]}, ${loss}`,
        );
      }
      for (const [key, values] of whole.weights) {
        const others = parts.weights.get(key)!;
        const difference = values.reduce((most, x, i) => Math.max(most, Math.abs(x - others[i]!)), 0);
        // Adam divides by the size of a gradient, also where that is nearly nothing.
        assert.ok(difference < 2e-3, `${key} differs by ${difference}`);
      }
    });
  }
}

for (const kind of ['modernbert', 'bert']) {
  test(`frozen blocks of a ${kind} keep their weights, and with a decay lower blocks move less`, async () => {
    const path = checkpoints[kind]!;
    const start = scope(
      () => new Map(Array.from(loadWeights(path, path.config.model, 'cpu'), ([name, w]) => [name, w.toFloats()])),
    );
    const moved = (weights: ReadonlyMap<string, Float32Array>, part: RegExp) =>
      Math.max(
        ...[...weights].flatMap(([name, values]) =>
          part.test(name) && start.has(name) ? Array.from(values, (x, i) => Math.abs(x - start.get(name)![i]!)) : [],
        ),
      );
    const block = (l: number) => new RegExp(`layers?\\.${l}\\.`);
    const frozen = await tuned(kind, tagTask, { frozenBlocks: 1 });
    assert.equal(moved(frozen.weights, /embeddings/), 0);
    assert.equal(moved(frozen.weights, block(0)), 0);
    assert.ok(moved(frozen.weights, block(1)) > 1e-4);
    const decayed = await tuned(kind, tagTask, { layerDecay: 0.1 });
    const [low, high] = [moved(decayed.weights, block(0)), moved(decayed.weights, block(1))];
    assert.ok(low > 0 && low < 0.3 * high, `${low} below ${high}`);
  });
}

test('a sentence of no tokens teaches nothing, and is of no entity', async () => {
  const none = { form: 'columns' as const, words: ['\ufffd'], tags: [0] };
  const train = { name: 'train', examples: [none, ...(tagTask.train.examples as (typeof none)[])] };
  const { devs } = await tuned(
    'bert',
    { ...tagTask, train, devs: [{ name: 'dev', examples: [none] }] },
    { batchSize: 1 },
  );
  assert.equal(devs[0]!.scores.accuracy, 1);
});

test('a fine-tuning that would learn nothing is refused before it loads a model', async () => {
  const before = liveTensors();
  const empty = { name: 'train', examples: [] };
  const wordless = { name: 'train', examples: [{ form: 'columns' as const, words: ['\ufffd'], tags: [0] }] };
  for (const task of [
    { ...pairTask, train: empty },
    { ...tagTask, train: empty },
    { ...tagTask, train: wordless },
  ])
    await assert.rejects(
      tuned('bert', task),
      (error) => error instanceof DataError && /: has no training example to learn from; give/.test(error.message),
    );
  const single = { name: 'train', examples: [{ texts: ['w1'] }, { texts: ['w2'] }] };
  for (const [task, change, message] of [
    [tagTask, { epochs: 0 }, /^epochs: 0 is not an integer ≥ 1$/],
    [pairTask, { batchSize: 1 }, /^--batch-size 1: embeddings are trained by comparing examples; give 2 or more$/],
    [{ ...pairTask, train: single }, {}, /^--dropout 0: --unsupervised learns from two dropout masks of each text/],
  ] as const) {
    await assert.rejects(
      tuned('bert', task, change),
      (error) => error instanceof ConfigError && message.test(error.message),
      message.source,
    );
  }
  assert.equal(liveTensors(), before);
});

test('what cannot be judged without a set to judge by is refused', async () => {
  const alone = { ...pairTask, devs: [] };
  await assert.rejects(
    tuned('bert', alone, { patience: 1 }),
    /--patience: needs a development set; give one with --dev/,
  );
  await assert.rejects(tuned('bert', alone, { metric: 'f1' }), /--metric: needs a development set/);
});

test('a batch in parts learns with dropout', async () => {
  const run = await tuned('modernbert', pairTask, { microBatchSize: 3, dropout: 0.2, epochs: 12 });
  const [first, last] = [run.losses.slice(0, 3), run.losses.slice(-3)].map((some) => some.reduce((a, b) => a + b) / 3);
  assert.ok(last! < 0.6 * first!, `${first} to ${last}`);
});

test('tags and pairs are learned, and judged by F1 and nDCG', async () => {
  const tags = await tuned('modernbert', tagTask, { epochs: 12, learningRate: 3e-3 });
  assert.ok(tags.devs[0]!.scores.f1! > 0.95, JSON.stringify(tags.devs));
  assert.equal(tags.devs[0]!.judged, tags.devs[0]!.scores.f1);
  const found = await tuned('modernbert', pairTask, { epochs: 30, learningRate: 3e-3 });
  assert.ok(found.devs[0]!.scores['ndcg@10']! > 0.8, JSON.stringify(found.devs));
  assert.equal(found.devs[0]!.judged, found.devs[0]!.scores['ndcg@10']);
});

test('without a set to judge by the last epoch is kept', async () => {
  const { bestEpoch, devs, history } = await tuned('bert', { ...pairTask, devs: [] });
  assert.deepEqual({ bestEpoch, devs, history }, { bestEpoch: 2, devs: [], history: [] });
});

test('a score that there is not is refused before the training', async () => {
  const step = () => assert.fail('it was trained');
  await assert.rejects(
    fineTune(checkpoints.bert!, tagTask, { ...settings, metric: 'recall@1' }, { step }),
    /--metric recall@1: is not one of precision, recall, f1, accuracy/,
  );
});

test('a signal ends fine-tuning after the current step, and the best finished epoch is kept', async () => {
  const run = async (task: Task, stopAfter: number) => {
    const controller = new AbortController();
    let last = 0;
    const step = (done: number) => {
      last = done;
      if (done === stopAfter) controller.abort('SIGINT');
    };
    const result = await fineTune(checkpoints.bert!, task, { ...settings, epochs: 3 }, { step }, controller.signal);
    for (const weight of result.weights.values()) weight.free();
    return { ...result, last };
  };
  const before = liveTensors();
  const steps = tagTask.train.examples.length / settings.batchSize;
  const { stoppedBy, history, last } = await run(tagTask, steps + 2);
  assert.deepEqual({ stoppedBy, epochs: history.length, last }, { stoppedBy: 'SIGINT', epochs: 1, last: steps + 2 });
  assert.equal((await run(tagTask, steps * 3)).stoppedBy, undefined, 'a signal after the last step stops nothing');
  const refused = (task: Task, stopAfter: number, message: RegExp) =>
    assert.rejects(run(task, stopAfter), (error) => error instanceof InterruptedError && message.test(error.message));
  await refused(tagTask, 2, /^stopped by SIGINT before the first epoch was over; nothing was written$/);
  await refused({ ...tagTask, devs: [] }, steps + 2, /before the last epoch was over/);
  assert.equal(liveTensors(), before);
});

test('predictions without a model are scored on every set with targets', async () => {
  const unlabelled = { name: 'test', examples: [{ form: 'columns' as const, words: ['w1'] }] };
  const { baselines, devs } = await tuned('bert', { ...tagTask, tests: [unlabelled] }, { epochs: 1 });
  const tags = tagTask.devs[0]!.examples.flatMap((example) => (example as { tags: number[] }).tags);
  const share = tags.filter((tag) => tag === 0).length / tags.length;
  assert.deepEqual(baselines, [
    {
      name: 'always "O"',
      sets: [{ set: devs[0]!.set, scores: { precision: 0, recall: 0, f1: 0, accuracy: share } }],
    },
  ]);
});
