import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MicroBatch } from '../data/index.ts';
import { type DepthMethod, drawGates } from '../depth/index.ts';
import { Bert, modelInputs, pretrainingLosses, type Transformer } from '../model/index.ts';
import { liveTensors, scope, Tensor } from '../tensor/index.ts';
import { native } from '../tensor/native.ts';
import type { TrainingState } from './state.ts';
import { beginStep, trainStep } from './step.ts';
import { joined, rowOf, snapshot, tinyBatch, tinyConfig, tinyState } from './tiny.fixture.ts';

const scoped = (name: string, body: () => void) => test(name, () => scope(body));
const norm = (lists: Iterable<Float64Array>) =>
  Math.sqrt(Array.from(lists, (list) => list.reduce((sum, x) => sum + x * x, 0)).reduce((a, b) => a + b, 0));
const isOfBlock = (name: string, l: number) => name.startsWith(`bert.encoder.layer.${l}.`);

/** Fixed keep rates with branches scaled by 1/p. */
const constantRates = (keepRates: readonly number[]): DepthMethod => {
  const branchScales = keepRates.map((p) => (p === 0 ? 1 : 1 / p));
  return () => ({ theta: 0.5, keepRates, branchScales });
};

/** The gradients of a state's first step, which the first moments hold times 1 − β₁ (and the clipping factor). */
function firstGradients(state: TrainingState): Map<string, Float64Array> {
  const [beta1] = state.config.train.betas;
  return new Map(
    Array.from(state.optimizer, ([name, { slots }]) => [
      name,
      Float64Array.from(slots.moment!.toFloats(), (m) => m / (1 - beta1)),
    ]),
  );
}

/** The gradients of the mean losses of one micro-batch, every block with gate and scale as given. */
function gradientsOf(state: TrainingState, batch: MicroBatch, gates: boolean[], branchScales: readonly number[]) {
  const pass = { gates, branchScales, dropoutSeed: () => assert.fail('no dropout') };
  const { tokenSum, nspSum } = pretrainingLosses(state.model, batch, 'cpu', pass);
  const loss = tokenSum.mul(1 / batch.predictedPositions.length).add(nspSum!.mul(1 / batch.numSequences));
  const names = [...state.masters.keys()];
  const gradients = loss.grad(names.map((name) => state.masters.get(name)!));
  return new Map(names.map((name, i) => [name, gradients[i]?.toFloats()]));
}

function assertGradientsClose(found: Map<string, Float64Array>, expected: Map<string, ArrayLike<number>>): void {
  for (const [name, gradient] of found) {
    const wanted = expected.get(name)!;
    const largest = Math.max(...Array.from(wanted, Math.abs), 1e-3);
    gradient.forEach((g, i) => {
      assert.ok(Math.abs(g - wanted[i]!) < 1e-5 * largest, `${name}[${i}]: ${g}, expected ${wanted[i]}`);
    });
  }
}

scoped('however a batch is cut into micro-batches, loss and gradient are the same up to rounding', () => {
  const packed = {
    ...tinyBatch(2),
    documents: [
      [3, 5],
      [2, 4],
    ],
  };
  for (const b of [tinyBatch(2, [5, 8]), packed]) assertCutsAgree(tinyBatch(1), b);
});

function assertCutsAgree(a: MicroBatch, b: MicroBatch): void {
  const config = tinyConfig();
  const run = (batches: MicroBatch[]) => {
    const state = tinyState(config);
    return { result: trainStep(state, 0, batches), gradients: firstGradients(state) };
  };
  const whole = run([joined(a, b)]);
  // Rows have three and two masked tokens: a mean of means would weigh them wrongly.
  for (const cut of [
    [a, b],
    [rowOf(a, 0), joined(rowOf(a, 1), b)],
    [0, 1].flatMap((row) => [rowOf(a, row), rowOf(b, row)]),
  ]) {
    const { result, gradients } = run(cut);
    for (const key of ['loss', 'tokenLoss', 'nspLoss', 'gradientNorm'] as const) {
      assert.ok(Math.abs(result[key]! / whole.result[key]! - 1) < 1e-5, `${key}: ${result[key]} ${whole.result[key]}`);
    }
    assertGradientsClose(gradients, whole.gradients);
    assert.equal(result.predictedTokens, 10);
    assert.equal(
      result.tokens,
      [...a.documents, ...b.documents].flat().reduce((sum, length) => sum + length),
    );
  }
  assert.ok(Math.abs(norm(whole.gradients.values()) / whole.result.gradientNorm - 1) < 1e-5);
  assert.equal(whole.result.loss, whole.result.tokenLoss + whole.result.nspLoss!);
}

for (const precision of ['fp32', 'bf16'] as const) {
  scoped(`a block that no micro-batch ran keeps weights, moments and count bit for bit (${precision})`, () => {
    const config = tinyConfig({ train: { precision, weightDecay: 0.1, clipNorm: 1 } });
    const skipping = constantRates([1, 0, 1]);
    const state = tinyState(config, (step) => (step < 2 ? constantRates([1, 1, 1])(step) : skipping(step)));
    const batches = [tinyBatch(1), tinyBatch(2)];
    for (const step of [0, 1]) assert.equal(trainStep(state, step, batches).updatedBlocks, 3);
    const before = snapshot(state);
    const result = trainStep(state, 2, batches);
    const after = snapshot(state);
    for (const name of before.keys()) {
      if (isOfBlock(name, 1)) assert.deepEqual(after.get(name), before.get(name), name);
      else assert.notDeepEqual(after.get(name), before.get(name), name);
      assert.equal(state.optimizer.get(name)!.updates, isOfBlock(name, 1) ? 2 : 3);
    }
    assert.deepEqual([result.depth, result.updatedBlocks, result.applied], [2, 2, true]);
    assert.deepEqual(result.keepRates, [1, 0, 1]);
  });
}

scoped('clipping sees only the gradients that exist', () => {
  const state = tinyState(tinyConfig(), constantRates([1, 0, 1]));
  const { gradientNorm } = trainStep(state, 0, [tinyBatch(1)]);
  const gradients = firstGradients(state);
  for (const [name, gradient] of gradients) if (isOfBlock(name, 1)) assert.equal(norm([gradient]), 0);
  assert.ok(Math.abs(norm(gradients.values()) / gradientNorm - 1) < 1e-5);
});

scoped('a block that some micro-batches ran has the mean over all of them, with zero for those that did not', () => {
  const keepRates = [1, 0.5, 1];
  const config = tinyConfig();
  const gatesAt = (step: number, microBatch: number) =>
    drawGates({ seed: config.train.seed, step, microBatch, keepRates, granularity: 'batch', sequences: 2 });
  const step = Array.from({ length: 100 }, (_, i) => i).find((i) => gatesAt(i, 0)[1] && !gatesAt(i, 1)[1])!;
  const state = tinyState(config, constantRates(keepRates));
  const [a, b] = [tinyBatch(1), tinyBatch(2)]; // as many sequences and masked tokens in both
  const onA = gradientsOf(state, a, [true, true, true], [1, 2, 1]);
  const onB = gradientsOf(state, b, [true, false, true], [1, 2, 1]);
  const result = trainStep(state, step, [a, b]);
  const expected = new Map(
    Array.from(onA, ([name, gradient]) => {
      assert.equal(onB.get(name) === undefined, isOfBlock(name, 1), name);
      return [name, gradient!.map((g, i) => (g + (onB.get(name)?.[i] ?? 0)) / 2)];
    }),
  );
  assertGradientsClose(firstGradients(state), expected);
  assert.deepEqual([result.depth, result.updatedBlocks], [2.5, 3]);
});

scoped('clipping scales the whole gradient down to the norm that is asked for, and never up', () => {
  const run = (clipNorm: number) => {
    const state = tinyState(tinyConfig({ train: { clipNorm } }));
    const { gradientNorm } = trainStep(state, 0, [tinyBatch(1)]);
    return { gradientNorm, gradients: firstGradients(state), after: snapshot(state) };
  };
  const free = run(0);
  const clipped = run(free.gradientNorm / 4);
  assert.equal(clipped.gradientNorm, free.gradientNorm); // before clipping
  const quarter = new Map(Array.from(free.gradients, ([name, gradient]) => [name, gradient.map((g) => g / 4)]));
  assertGradientsClose(clipped.gradients, quarter);
  assert.deepEqual(run(free.gradientNorm * 2).after, free.after);
});

scoped('a loss that is not finite leaves everything untouched and says so', () => {
  for (const precision of ['fp32', 'bf16'] as const) {
    const state = tinyState(tinyConfig({ train: { precision, weightDecay: 0.1 } }));
    trainStep(state, 0, [tinyBatch(1)]);
    const broken = state.masters.get('bert.encoder.layer.1.intermediate.dense.weight')!;
    broken.copy_(Tensor.full(broken.shape, Number.NaN));
    const before = snapshot(state);
    const result = trainStep(state, 1, [tinyBatch(1), tinyBatch(2)]);
    assert.equal(result.applied, false);
    assert.ok(Number.isNaN(result.loss));
    assert.deepEqual(snapshot(state), before);
  }
});

scoped('a finite loss whose gradient is not finite leaves everything untouched and says so', () => {
  const state = tinyState(tinyConfig());
  // All embeddings are 0: the first norm divides by √1e-12 on the way back, and its huge weight overflows only there.
  for (const kind of ['word', 'position', 'token_type']) {
    state.masters.get(`bert.embeddings.${kind}_embeddings.weight`)!.mul_(0);
  }
  state.masters.get('bert.encoder.layer.0.attention.ln.weight')!.mul_(1e38);
  state.masters.get('cls.predictions.bias')!.copy_(Tensor.normal([50], { std: 1, seed: 1 }));
  const before = snapshot(state);
  const result = trainStep(state, 0, [tinyBatch(1)]);
  assert.ok(Number.isFinite(result.loss) && !Number.isFinite(result.gradientNorm), `${result.gradientNorm}`);
  assert.equal(result.applied, false);
  assert.deepEqual(snapshot(state), before);
});

scoped('two runs with one seed are bit-equal, dropout and gates included, and another seed differs', () => {
  const run = (seed: number) => {
    const config = tinyConfig({
      depth: { method: 'pld' },
      model: { dropout: 0.1, attentionDropout: 0.1 },
      train: { seed },
    });
    const state = tinyState(config);
    const losses = [0, 1, 2].map((step) => trainStep(state, 20 + step, [tinyBatch(1), tinyBatch(2)]).loss);
    return { losses, after: snapshot(state) };
  };
  const first = run(3);
  assert.deepEqual(run(3), first);
  assert.notDeepEqual(run(4).losses, first.losses);
});

scoped(
  'a step reads its losses and its gradient norm, once all work up to the gradients is given out, and nothing else',
  () => {
    for (const [optimizer, granularity] of [
      ['adamw', 'batch'],
      ['muon', 'batch'],
      ['lamb', 'sequence'],
    ] as const) {
      const config = tinyConfig({ depth: { method: 'pld', gamma: 1, granularity }, train: { optimizer, clipNorm: 1 } });
      const state = tinyState(config);
      const read: string[] = [];
      const { item, toArray } = native();
      native().item = (x) => {
        read.push('item');
        return item(x);
      };
      native().toArray = (x) => {
        read.push('toArray');
        return toArray(x);
      };
      try {
        using begun = beginStep(state, 5, [tinyBatch(1), tinyBatch(2)]);
        read.push('begun');
        begun.finish();
      } finally {
        Object.assign(native(), { item, toArray });
      }
      // The norm, two token losses and two next-sentence losses.
      assert.equal(read[0], 'begun');
      assert.deepEqual(new Set(read.slice(1)), new Set(['item']));
      assert.equal(read.length, 1 + 1 + 2 + 2, `${read}`);
    }
  },
);

scoped('a loss scale goes in before the backward pass and comes out before clipping, and nothing else changes', () => {
  for (const optimizer of ['adamw', 'muon', 'lamb'] as const) {
    const run = (lossScale: number) => {
      const state = tinyState(tinyConfig({ train: { optimizer, clipNorm: 0.5 } }));
      const results = [0, 1, 2].map((step) => trainStep(state, step, [tinyBatch(step), tinyBatch(9)], { lossScale }));
      return { numbers: results.map(({ loss, gradientNorm }) => [loss, gradientNorm]), after: snapshot(state) };
    };
    // Multiplying by a power of two rounds nothing.
    assert.deepEqual(run(1024), run(1));
  }
  const state = tinyState(tinyConfig());
  const overflown = trainStep(state, 0, [tinyBatch(1)], { lossScale: 2 ** 127 * 1.9 });
  assert.ok(Number.isFinite(overflown.loss) && !Number.isFinite(overflown.gradientNorm));
  assert.equal(overflown.applied, false);
});

scoped('each step and each micro-batch has dropout masks of its own', () => {
  const config = tinyConfig({ model: { dropout: 0.3, attentionDropout: 0.3 } });
  const still = { ...tinyState(config), learningRate: () => 0 };
  const batch = tinyBatch(1);
  const loss = (step: number, batches: MicroBatch[]) => trainStep(still, step, batches).loss;
  const alone = loss(0, [batch]);
  assert.equal(loss(0, [batch]), alone);
  assert.notEqual(loss(1, [batch]), alone);
  // Were the masks of both micro-batches the same, so would be the mean of their losses.
  assert.ok(Math.abs(loss(0, [batch, batch]) - alone) > 1e-4);
});

scoped('without next-sentence labels its head and the pooler stay as they are', () => {
  const state = tinyState(tinyConfig());
  const { nextSentenceLabels: _, ...batch } = tinyBatch(1);
  const before = snapshot(state);
  const result = trainStep(state, 0, [batch]);
  assert.equal(result.nspLoss, undefined);
  assert.equal(result.loss, result.tokenLoss);
  for (const [name, after] of snapshot(state)) {
    if (/pooler|seq_relationship/.test(name)) assert.deepEqual(after, before.get(name), name);
    else assert.notDeepEqual(after, before.get(name), name);
  }
});

for (const [optimizer, peakLearningRate] of [
  ['adamw', 0.02],
  ['muon', 0.01],
  ['lamb', 0.1],
] as const) {
  scoped(`thirty steps of ${optimizer} on one batch learn it, in fp32 and nearly alike in bf16`, () => {
    const losses = (precision: 'fp32' | 'bf16') => {
      const state = tinyState(tinyConfig({ train: { optimizer, precision, peakLearningRate, clipNorm: 1 } }));
      return Array.from({ length: 30 }, (_, step) => trainStep(state, step, [tinyBatch(1)]).loss);
    };
    const full = losses('fp32');
    const fresh = Math.log(50) + Math.log(2); // every token and both classes equally likely
    assert.ok(Math.abs(full[0]! - fresh) < 0.2, `first loss ${full[0]}`);
    assert.ok(full.at(-1)! < fresh / 2, `last loss ${full.at(-1)}`);
    const low = losses('bf16');
    assert.ok(Math.abs(low[0]! / full[0]! - 1) < 0.005, `${low[0]} ${full[0]}`);
    assert.ok(low.at(-1)! < fresh / 2, `last loss ${low.at(-1)}`);
  });
}

for (const optimizer of ['adamw', 'muon', 'lamb'] as const) {
  scoped(
    `after a bf16 step of ${optimizer} the model uses the new weights, and not what was cast from the old ones`,
    () => {
      const state = tinyState(tinyConfig({ train: { precision: 'bf16', optimizer } }));
      const { config, masters } = state;
      const lossOf = (model: Transformer) => pretrainingLosses(model, tinyBatch(2), 'cpu').tokenSum.item();
      const before = lossOf(state.model);
      for (const step of [0, 1]) {
        trainStep(state, step, [tinyBatch(1)]);
        const copies = new Map(Array.from(masters, ([name, weight]) => [name, weight.detach().clone()]));
        assert.equal(lossOf(state.model), lossOf(new Bert(config.model, copies, 'bfloat16')));
        assert.notEqual(lossOf(state.model), before);
      }
    },
  );
}

scoped('in bf16 hidden states are float32, and states, losses and gradients are close to those in fp32', () => {
  const batch = tinyBatch(1);
  const [full, low] = (['fp32', 'bf16'] as const).map((precision) => {
    const { model, masters } = tinyState(tinyConfig({ train: { precision } }));
    const hidden = model.encode(modelInputs(batch, 'cpu'));
    const { tokenSum, nspSum } = pretrainingLosses(model, batch, 'cpu');
    const weight = masters.get('bert.encoder.layer.1.intermediate.dense.weight')!;
    const [gradient] = tokenSum.add(nspSum!).grad([weight]);
    return { hidden, mlm: tokenSum.item(), nsp: nspSum!.item(), gradient: gradient! };
  });
  const relative = (a: Tensor, b: Tensor) => a.add(b, -1).norm().item() / b.norm().item();
  assert.deepEqual([low!.hidden.dtype, low!.gradient.dtype], ['float32', 'float32']);
  // bfloat16 has eight bits: one rounding is off by up to 0.4 %.
  assert.ok(relative(low!.hidden, full!.hidden) < 0.01, `${relative(low!.hidden, full!.hidden)}`);
  assert.ok(Math.abs(low!.mlm / full!.mlm - 1) < 0.002, `${low!.mlm} ${full!.mlm}`);
  assert.ok(Math.abs(low!.nsp / full!.nsp - 1) < 0.005, `${low!.nsp} ${full!.nsp}`);
  assert.ok(relative(low!.gradient, full!.gradient) < 0.05, `${relative(low!.gradient, full!.gradient)}`);
});

scoped(
  'the number of live tensors is flat over twenty steps, whatever the gates, precision, optimizer and loss',
  () => {
    for (const precision of ['fp32', 'bf16'] as const) {
      for (const optimizer of ['adamw', 'muon', 'lamb'] as const) {
        const config = tinyConfig({
          model: { dropout: 0.1, attentionDropout: 0.1 },
          depth: { method: 'pld', gamma: 1 },
          train: { precision, optimizer },
        });
        const state = tinyState(config);
        const before = liveTensors();
        for (let step = 0; step < 20; step++) {
          trainStep(state, step, [tinyBatch(step), tinyBatch(step + 100, [6, 8])]);
          assert.equal(liveTensors(), before, `${precision}, ${optimizer}, step ${step}`);
        }
        state.masters.get('cls.predictions.bias')!.mul_(Number.NaN);
        assert.equal(trainStep(state, 20, [tinyBatch(1)]).applied, false);
        assert.equal(liveTensors(), before);
      }
    }
  },
);
