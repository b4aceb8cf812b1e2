import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import type { Config } from '../config/index.ts';
import { CheckpointError, OutputError } from '../errors/index.ts';
import { scope, Tensor } from '../tensor/index.ts';
import { type TrainingState, trainingState } from '../train/state.ts';
import { trainStep } from '../train/step.ts';
import { snapshot, tinyBatch, tinyConfig, tinyState } from '../train/tiny.fixture.ts';
import { loadOptimizer, loadWeights, openCheckpoint, type Progress, saveCheckpoint } from './checkpoint.ts';

const run = mkdtempSync(join(tmpdir(), 'taper-checkpoint-'));
const checkpoints = join(run, 'checkpoints');
const tokenizerJson = '{"version":"1.0","added_tokens":[]}';
const config = tinyConfig({
  model: { dropout: 0.1, attentionDropout: 0.1 },
  depth: { method: 'pld' },
  train: { keepCheckpoints: 2 },
});
after(() => rmSync(run, { recursive: true }));
beforeEach(() => rmSync(checkpoints, { recursive: true, force: true }));

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const progressAt = (step: number, nonFiniteSteps = 0): Progress => ({
  step,
  samples: 4 * step,
  tokens: 31 * step,
  nonFiniteSteps,
  textHash: 'abc',
  lossScale: { scale: 2 ** step, goodSteps: 7 },
});
const silent = (message: string) => assert.fail(`no warning was expected: ${message}`);
const folders = () => readdirSync(checkpoints).sort();

function save(state: TrainingState, step: number, saved: Config = config, nonFiniteSteps = 0): string {
  const { masters: weights, optimizer } = state;
  const progress = progressAt(step, nonFiniteSteps);
  return saveCheckpoint(run, { config: saved, progress, weights, optimizer, tokenizerJson });
}

/** A state with moments, and with blocks that have fallen behind. */
function trained(steps = 3): TrainingState {
  const state = tinyState(config);
  for (let step = 0; step < steps; step++) trainStep(state, step, [tinyBatch(step)]);
  return state;
}

function restored(path: string): TrainingState {
  const checkpoint = openCheckpoint(path, silent);
  const masters = loadWeights(checkpoint, config.model, 'cpu');
  return trainingState(config, masters, { optimizer: loadOptimizer(checkpoint, 'cpu') });
}

/** Puts one number among the others of a state. */
function spoil({ masters, optimizer }: TrainingState, part: 'weight' | 'moment' | 'variance', bad: number): void {
  const [name, weight] = [...masters].at(-1)!;
  const tensor = part === 'weight' ? weight.detach() : optimizer.get(name)!.slots[part]!;
  const numbers = tensor.toFloats();
  numbers[numbers.length - 1] = bad;
  tensor.copy_(Tensor.from(numbers, tensor.shape));
}

/** Puts one number at the end of a file of a checkpoint, whose checksums then say that it was written so. */
function spoilFile(path: string, name: string, bad: number): void {
  const bytes = readFileSync(join(path, name));
  bytes.writeFloatLE(bad, bytes.length - 4);
  writeFileSync(join(path, name), bytes);
  const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
  const { checksum: _, ...trainer } = JSON.parse(readFileSync(join(path, 'trainer.json'), 'utf8'));
  trainer.checksums[name] = sha256(bytes);
  const checksum = sha256(JSON.stringify(trainer));
  writeFileSync(join(path, 'trainer.json'), JSON.stringify({ ...trainer, checksum }));
}

function assertRefused(path: string, reason: RegExp): void {
  assert.throws(
    () => openCheckpoint(path, silent),
    (error: Error) => {
      assert.ok(error instanceof CheckpointError, error.stack);
      assert.match(error.message, reason);
      return true;
    },
  );
}

scoped('a saved checkpoint is loaded bit for bit', () => {
  const state = trained();
  const path = save(state, 3);
  assert.equal(path, join(checkpoints, 'step-3'));
  assert.equal(readFileSync(join(checkpoints, 'latest'), 'utf8'), 'step-3\n');
  for (const from of [run, path]) {
    const checkpoint = openCheckpoint(from, silent);
    assert.deepEqual(checkpoint.progress, progressAt(3));
    assert.deepEqual(checkpoint.config, config);
    assert.equal(checkpoint.tokenizerJson, tokenizerJson);
    assert.equal(checkpoint.path, path);
    assert.deepEqual(snapshot(restored(from)), snapshot(state));
  }
});

scoped('a run resumed from a checkpoint is bit-equal to one that never stopped', () => {
  const unbroken = trained(6);
  save(trained(3), 3);
  const resumed = restored(run);
  for (const step of [3, 4, 5]) trainStep(resumed, step, [tinyBatch(step)]);
  assert.deepEqual(snapshot(resumed), snapshot(unbroken));
});

scoped('a checkpoint has the files that Hugging Face and resuming need, and nothing else', () => {
  const path = save(trained(1), 1);
  const expected = ['config.json', 'model.safetensors', 'optimizer.safetensors', 'tokenizer.json', 'trainer.json'];
  assert.deepEqual(readdirSync(path).sort(), expected);
  const { model_type } = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'));
  assert.equal(model_type, 'megatron-bert');
  assert.deepEqual(folders(), ['latest', 'step-1']);
});

scoped('a byte that changed in any file is found, and the file is named', () => {
  const path = save(trained(1), 1);
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    const whole = readFileSync(file);
    for (const position of [0, 1, 0.1, 0.5, 0.9].map((x) =>
      x < 1 ? Math.floor(x * whole.length) : whole.length - 3,
    )) {
      const flipped = Buffer.from(whole);
      flipped[position]! ^= 0x01;
      writeFileSync(file, flipped);
      assertRefused(path, new RegExp(`${name}: .*use another checkpoint`));
    }
    writeFileSync(file, whole);
  }
  assert.equal(openCheckpoint(path, silent).progress.step, 1);
});

scoped('a file that is missing or cut short is named', () => {
  const path = save(trained(1), 1);
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    const whole = readFileSync(file);
    rmSync(file);
    assertRefused(path, new RegExp(`${name} is missing`));
    for (const size of [0, whole.length >> 1]) {
      writeFileSync(file, whole.subarray(0, size));
      assertRefused(path, new RegExp(name));
    }
    writeFileSync(file, whole);
  }
  assert.equal(openCheckpoint(path, silent).progress.step, 1);
});

scoped('a checkpoint of another format version is refused with both numbers', () => {
  const file = join(save(trained(1), 1), 'trainer.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"format": 1', '"format": 2'));
  assertRefused(run, /trainer\.json: format 2, but this version of taper reads 1/);
});

scoped('the newest checkpoints are kept, by the number of their step', () => {
  const state = trained(1);
  for (const step of [8, 9, 10, 100]) save(state, step);
  assert.deepEqual(folders(), ['latest', 'step-10', 'step-100']);
  assert.equal(openCheckpoint(run, silent).progress.step, 100);
  save(state, 101, tinyConfig({ train: { keepCheckpoints: 1 } }));
  assert.deepEqual(folders(), ['latest', 'step-101']);
});

scoped('saving a step again replaces it, and what an interrupted save left is cleared away', () => {
  const state = trained(1);
  mkdirSync(join(checkpoints, 'step-2.partial'), { recursive: true });
  writeFileSync(join(checkpoints, 'step-2.partial', 'model.safetensors'), 'half');
  save(state, 2);
  trainStep(state, 1, [tinyBatch(7)]);
  save(state, 2);
  assert.deepEqual(folders(), ['latest', 'step-2']);
  assert.deepEqual(snapshot(restored(run)), snapshot(state));
});

scoped('a half-written checkpoint is never taken for one', () => {
  save(trained(1), 1);
  mkdirSync(join(checkpoints, 'step-2.partial'));
  assert.equal(openCheckpoint(run, silent).progress.step, 1);
});

scoped('when the newest checkpoint is broken it is named in a warning and the one before is used', () => {
  const state = trained(1);
  save(state, 1);
  const newest = save(state, 2);
  rmSync(join(newest, 'optimizer.safetensors'));
  const warnings: string[] = [];
  const checkpoint = openCheckpoint(run, (message) => warnings.push(message));
  assert.equal(checkpoint.progress.step, 1);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /step-2: optimizer\.safetensors is missing.*using the checkpoint before it/);
  assertRefused(newest, /optimizer\.safetensors is missing/); // asked for by name, there is no other
  writeFileSync(join(checkpoints, 'step-1', 'trainer.json'), '{');
  assert.throws(() => openCheckpoint(run, () => {}), /step-1.trainer\.json: is not JSON/);
});

scoped('a broken newer checkpoint does not count among those that are kept', () => {
  const state = trained(1);
  save(state, 8);
  for (const step of [10, 12]) {
    mkdirSync(join(checkpoints, `step-${step}`));
  }
  save(state, 9);
  assert.ok(existsSync(join(checkpoints, 'step-8')) && existsSync(join(checkpoints, 'step-9')));
  assert.equal(openCheckpoint(run, () => {}).progress.step, 9);
});

scoped('nothing is pruned after a step that was not finite, until the next one that is', () => {
  const state = trained(1);
  for (const [step, nonFiniteSteps] of [[1], [2], [3, 1], [4, 2]] as const) save(state, step, config, nonFiniteSteps);
  assert.deepEqual(folders(), ['latest', 'step-1', 'step-2', 'step-3', 'step-4']);
  assert.equal(openCheckpoint(run, silent).progress.nonFiniteSteps, 2);
  save(state, 5);
  assert.deepEqual(folders(), ['latest', 'step-4', 'step-5']);
});

for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
  scoped(`weights and moments with one ${bad} in them are not saved`, () => {
    for (const part of ['weight', 'moment', 'variance'] as const) {
      const state = trained(1);
      save(state, 1);
      spoil(state, part, bad);
      assert.throws(
        () => save(state, 2),
        (error: Error) => {
          return error instanceof CheckpointError && /step-2: .* not finite; nothing was saved/.test(error.message);
        },
      );
      assert.deepEqual(folders(), ['latest', 'step-1'], part);
    }
  });

  scoped(`a checkpoint that an older taper saved with ${bad} in it is skipped by its run and refused by name`, () => {
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      const state = trained(1);
      save(state, 1);
      const newest = save(state, 2);
      spoilFile(newest, file, bad);
      const warnings: string[] = [];
      assert.equal(openCheckpoint(run, (message) => warnings.push(message)).progress.step, 1);
      assert.match(
        warnings.join(),
        /step-2: training had diverged: \S+ in \S+ contains numbers that are not finite; .*before it/,
      );
      assertRefused(newest, new RegExp(`training had diverged: .*${file}.*use an earlier checkpoint`));
    }
  });
}

scoped('a run whose checkpoints all diverged is refused with a command that starts a new one', () => {
  const newest = save(trained(1), 2);
  spoilFile(newest, 'model.safetensors', Number.NaN);
  writeFileSync(join(run, 'config.json'), JSON.stringify(config));
  assertRefused(
    run,
    new RegExp(`none of its checkpoints can be used: .*: npx taper-lm pretrain ${run}/config.json --out ${run}-2$`),
  );
  rmSync(join(run, 'config.json'));
});

scoped('a folder that is not a checkpoint, and a run without one, are refused', () => {
  assertRefused(join(run, 'nowhere'), /nowhere: no such folder/);
  mkdirSync(checkpoints);
  assertRefused(run, /this run has no checkpoint yet/);
  mkdirSync(join(run, 'empty'));
  assertRefused(join(run, 'empty'), /trainer\.json is missing; this is not a complete taper checkpoint/);
});

scoped('weights of another model are refused with the first tensor that differs', () => {
  const checkpoint = openCheckpoint(save(trained(1), 1), silent);
  const load = (model: Parameters<typeof tinyConfig>[0]) => () =>
    loadWeights(checkpoint, tinyConfig(model).model, 'cpu');
  const refused = (reason: RegExp) => (error: Error) => error instanceof CheckpointError && reason.test(error.message);
  assert.throws(
    load({ model: { vocabSize: 60 } }),
    refused(/word_embeddings\.weight is \[50, 16\], but this model has \[60, 16\]/),
  );
  assert.throws(load({ model: { norm: 'post' } }), refused(/embeddings\.LayerNorm\.weight is missing/));
  assert.throws(load({ model: { layers: 4 } }), refused(/layer\.3\..* is missing/));
  assert.throws(load({ model: { layers: 2 } }), refused(/layer\.2\..* is not in this model/));
});

scoped('a folder that cannot be written is an OutputError, and nothing half-written stays', () => {
  writeFileSync(checkpoints, 'a file where the folder should be');
  assert.throws(() => save(trained(1), 1), OutputError);
  rmSync(checkpoints);
  mkdirSync(join(checkpoints, 'latest'), { recursive: true }); // cannot be replaced by a file
  assert.throws(() => save(trained(1), 1), OutputError);
  assert.deepEqual(
    folders().filter((name) => name.includes('partial')),
    [],
  );
});

scoped('a fine-tuned ModernBERT of an earlier version reads the first token', () => {
  const modern = tinyConfig({ model: { kind: 'modernbert' }, data: { objective: 'mlm' } });
  const path = save(tinyState(modern), 1, modern);
  const poolingWith = (
    change: (trainer: { config: { model: { classifierPooling?: string } }; head?: object }) => void,
  ) => {
    const file = join(path, 'trainer.json');
    const { checksum: _, ...trainer } = JSON.parse(readFileSync(file, 'utf8'));
    change(trainer);
    const checksum = createHash('sha256').update(JSON.stringify(trainer)).digest('hex');
    writeFileSync(file, JSON.stringify({ ...trainer, checksum }));
    return openCheckpoint(path, silent).config.model.classifierPooling;
  };
  assert.equal(
    poolingWith(() => {}),
    'mean',
  );
  assert.equal(
    poolingWith(({ config }) => void delete config.model.classifierPooling),
    'mean',
  );
  assert.equal(
    poolingWith((trainer) => void Object.assign(trainer, { head: { kind: 'regression', labels: ['x'] } })),
    'cls',
  );
});
