// Pre-training on packed documents as its users do it: on one process or two, in one go or resumed.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandsIn, type Line, linesOf, sentences } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-packing-'));
const at = (path: string) => join(folder, path);
const { done, run, refused } = commandsIn(folder);

const [T, batchSize, steps] = [32, 8, 6];
const config = `
data: { train: [train.jsonl], valid: [valid.jsonl], sequenceLength: ${T}, packing: documents }
depth: { method: pld, granularity: sequence }
train: { steps: ${steps}, batchSize: ${batchSize}, microBatchSize: 4, evalSamples: 16, evalEvery: 3, saveEvery: 3, precision: fp32, threads: 1 }
`;
const sizes = 'layers: 3, hiddenSize: 32, heads: 2, maxPositions: 32, dropout: 0.1, attentionDropout: 0.1';
const kinds = {
  bert: { model: `kind: bert, vocabSize: 120, ${sizes}`, objective: 'mlm' },
  gpt: { model: `kind: gpt2, vocabSize: 320, ${sizes}`, objective: 'clm' },
};

/** Documents of one to five sentences. */
function documents(count: number, seed: number): string {
  const texts = Array.from({ length: count }, (_, i) => sentences(1 + (i % 5), seed + i));
  return texts.map((text) => `${JSON.stringify({ text })}\n`).join('');
}

before(() => {
  writeFileSync(at('train.jsonl'), documents(200, 1));
  writeFileSync(at('valid.jsonl'), documents(40, 1000));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a line says of the training itself: all of it but clock and memory. */
function numbersOf({ stepSeconds: _, dataSeconds: __, tokensPerSecond: ___, peakMemoryBytes: ____, ...numbers }: Line) {
  return numbers;
}

for (const [kind, { model, objective }] of Object.entries(kinds)) {
  describe(kind, () => {
    const pretrain = (out: string, ...more: string[]) => ['pretrain', `${kind}.yaml`, '--out', out, ...more];
    const trained = async (...command: string[]) => {
      const { code, stderr } = await run(...command);
      assert.equal(code, 0, stderr);
    };
    before(async () => {
      writeFileSync(
        at(`${kind}.yaml`),
        `${config.replace('packing', `objective: ${objective}, packing`)}model: { ${model} }`,
      );
      await trained(...pretrain(kind));
    });

    test('every token of a sequence counts', () => {
      const lines = linesOf(at(kind)).filter(({ type }) => type === 'step');
      for (const { step, tokens } of lines) assert.equal(tokens, step * batchSize * T);
    });

    test('a run resumed in the middle equals the uninterrupted one, bit for bit', async () => {
      cpSync(at(kind), at(`${kind}-resumed`), { recursive: true });
      rmSync(at(`${kind}-resumed/checkpoints/step-${steps}`), { recursive: true });
      await trained(...pretrain(`${kind}-resumed`, '--resume'));
      const lines = (out: string) => linesOf(at(out)).map(numbersOf);
      assert.deepEqual(lines(`${kind}-resumed`), lines(kind));
      for (const file of ['model.safetensors', 'optimizer.safetensors']) {
        const bytes = (out: string) => readFileSync(at(`${out}/checkpoints/step-${steps}/${file}`));
        assert.ok(bytes(`${kind}-resumed`).equals(bytes(kind)), file);
      }
    });

    test('it does not resume with another packing', () =>
      refused(
        pretrain(kind, '--resume', '--set', 'data.packing=none'),
        /data\.packing: "none", but the run was started with "documents"; leave it as it was, or start a new run/,
      ));

    test('two ranks train as one process does', async () => {
      await trained('launch', '--processes', '2', '--', ...pretrain(`${kind}-ranks`));
      const [found, expected] = [`${kind}-ranks`, kind].map((out) => linesOf(at(out)));
      assert.equal(found!.length, expected!.length);
      for (const [i, line] of expected!.entries()) {
        for (const key of ['type', 'step', 'tokens', 'depth', 'flops'])
          assert.deepEqual(found![i]![key], line[key], key);
        const [loss, wanted] = [Number(found![i]!.loss), Number(line.loss)];
        assert.ok(Math.abs(loss - wanted) < 1e-5, `step ${line.step}: ${loss}, one process has ${wanted}`);
      }
    });

    test('it is planned, looked at, evaluated and analysed', async () => {
      await done('plan', `${kind}.yaml`);
      const { stdout } = await done('data', 'inspect', `${kind}.yaml`);
      assert.match(stdout, /padding +0/);
      const evaluation = await done('eval', kind, '--data', 'valid.jsonl', '--limit', '16');
      const last = linesOf(at(kind)).findLast(({ type }) => type === 'eval')!;
      assert.match(evaluation.stdout, new RegExp(`^loss +${Number(last.loss).toFixed(4)}`));
      await done('analyze', kind, '--data', 'valid.jsonl', '--limit', '8', '--out', `${kind}-analysis`);
    });
  });
}
