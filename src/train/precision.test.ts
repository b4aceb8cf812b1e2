import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bert, initialise, parameterSpecs, tiedDecoder, wordEmbeddings } from '../model/index.ts';
import { scope, type Tensor } from '../tensor/index.ts';
import { encoderInputs, pretrainingLosses } from './objective.ts';
import { workingWeights } from './precision.ts';
import { tinyBatch, tinyConfig } from './tiny.fixture.ts';

const { model } = tinyConfig();
const specs = parameterSpecs(model);
const scoped = (name: string, body: () => void) => test(name, () => scope(body));

/** The nearest bfloat16 numbers, ties to even, as their bits. */
function roundedBits(x: Tensor): Uint16Array {
  const floats = x.toFloats();
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  return Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16);
}

scoped('in fp32 the model works with the master weights themselves', () => {
  const masters = initialise(model, 1);
  const working = workingWeights('fp32', masters, specs);
  assert.deepEqual([...working.weights], [...masters]);
  for (const name of masters.keys()) assert.equal(working.masterOf(name), name);
  const bert = new Bert(model, working.weights);
  const { mlmSum } = pretrainingLosses(bert, tinyBatch(1), 'cpu');
  const [gradient] = mlmSum.grad([masters.get(wordEmbeddings)!]);
  assert.ok(gradient!.norm().item() > 0);
});

scoped(
  'in bf16 the operands of matrix products are rounded copies, embeddings and norms the masters themselves',
  () => {
    const masters = initialise(model, 1);
    const { weights, masterOf } = workingWeights('bf16', masters, specs);
    assert.deepEqual(new Set(weights.keys()), new Set([...masters.keys(), tiedDecoder]));
    for (const [name, weight] of weights) {
      const master = masters.get(masterOf(name))!;
      const isShared = /(embeddings|\.ln|LayerNorm)/.test(name);
      assert.equal(weight === master, isShared, name);
      assert.equal(weight.dtype, isShared ? 'float32' : 'bfloat16', name);
      if (!isShared) assert.deepEqual(weight.toArray(), roundedBits(master), name);
      assert.equal(master.dtype, 'float32', name);
    }
    assert.equal(masterOf(tiedDecoder), wordEmbeddings);
  },
);

scoped('in bf16 every working weight has a gradient, the tied embeddings from both their uses', () => {
  const working = workingWeights('bf16', initialise(model, 1), specs);
  const { mlmSum, nspSum } = pretrainingLosses(new Bert(model, working.weights), tinyBatch(1), 'cpu');
  const names = [...working.weights.keys()];
  const gradients = mlmSum.add(nspSum!).grad([...working.weights.values()]);
  names.forEach((name, i) => {
    assert.equal(gradients[i]?.dtype, working.weights.get(name)!.dtype, name);
  });
});

scoped('a refresh casts the named weights anew and no others', () => {
  const masters = initialise(model, 1);
  const working = workingWeights('bf16', masters, specs);
  const [changed, left] = ['bert.encoder.layer.0.output.dense.weight', 'bert.encoder.layer.1.output.dense.weight'];
  const before = roundedBits(masters.get(left)!);
  for (const name of [changed, left, wordEmbeddings]) masters.get(name)!.mul_(1.37);
  working.refresh([changed, wordEmbeddings, 'bert.encoder.ln.weight']);
  assert.deepEqual(working.weights.get(changed)!.toArray(), roundedBits(masters.get(changed)!));
  assert.deepEqual(working.weights.get(tiedDecoder)!.toArray(), roundedBits(masters.get(wordEmbeddings)!));
  assert.deepEqual(working.weights.get(left)!.toArray(), before);
});

scoped('hidden states, losses and gradients in bf16 are close to those in fp32', () => {
  const batch = tinyBatch(1);
  const [full, low] = (['fp32', 'bf16'] as const).map((precision) => {
    const working = workingWeights(precision, initialise(model, 1), specs);
    const bert = new Bert(model, working.weights);
    const hidden = bert.encode(encoderInputs(batch, 'cpu'));
    const { mlmSum, nspSum } = pretrainingLosses(bert, batch, 'cpu');
    const weight = working.weights.get('bert.encoder.layer.1.intermediate.dense.weight')!;
    const [gradient] = mlmSum.add(nspSum!).grad([weight]);
    return { hidden, mlm: mlmSum.item(), nsp: nspSum!.item(), gradient: gradient!.to('float32') };
  });
  const relative = (a: Tensor, b: Tensor) => a.add(b, -1).norm().item() / b.norm().item();
  assert.equal(low!.hidden.dtype, 'float32');
  // bfloat16 has eight bits: one rounding is off by up to 0.4 %.
  assert.ok(relative(low!.hidden, full!.hidden) < 0.01, `${relative(low!.hidden, full!.hidden)}`);
  assert.ok(Math.abs(low!.mlm / full!.mlm - 1) < 0.002, `${low!.mlm} ${full!.mlm}`);
  assert.ok(Math.abs(low!.nsp / full!.nsp - 1) < 0.005, `${low!.nsp} ${full!.nsp}`);
  assert.ok(relative(low!.gradient, full!.gradient) < 0.05, `${relative(low!.gradient, full!.gradient)}`);
});
