// The PyTorch program that `npm run bench` compares taper with: TAPER_PYTHON names a Python that has torch.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingPyTorch, runPyTorch, runTaper } from '../bench/programs.ts';

const missing = missingPyTorch();
const vocab = 1000;
const sizes = { layers: 3, hidden: 32, heads: 2, seq: 16, batch: 4, steps: 4, warmup: 1, threads: 2, vocab };
const flags = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, `${value}`]);

for (const variant of [[], ['--postln'], ['--dtype', 'bf16', '--theta', '0.5']]) {
  const skip = missing && `missing: ${missing}`;
  test(`PyTorch's model is as large as taper's, and guesses at first: ${variant.join(' ') || 'PreLN'}`, {
    skip,
  }, () => {
    const [pytorch, taper] = [runPyTorch([...flags, ...variant]), runTaper([...flags, ...variant])];
    assert.equal(pytorch.params_m, taper.params_m);
    assert.deepEqual(
      Object.keys(taper).filter((key) => !(key in pytorch)),
      ['host_s_median', 'gflops_per_s', 'peak_gflops_per_s', 'mfu', 'step_s', 'layers_run'],
    );
    const guess = Math.log(vocab) + Math.log(2);
    assert.ok(Math.abs(pytorch.loss - guess) < 0.3, `a loss of ${pytorch.loss}, and guesses have ${guess}`);
    const isDense = !variant.includes('--theta');
    assert.equal(pytorch.mean_layers_run === sizes.layers, isDense, `${pytorch.mean_layers_run} blocks`);
  });
}
