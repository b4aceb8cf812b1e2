import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Line, linesOf, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';

const settings = [
  ...['train.steps=12', 'train.saveEvery=1', 'train.evalEvery=4', 'train.precision=bf16'],
  ...['model.dropout=0.1', 'model.attentionDropout=0.1'],
];
const maxKills = 6;
const maxDelayMs = 60;

/** What a line says of the training itself: all of it but clock and memory. */
function numbersOf({
  stepSeconds: _,
  dataSeconds: __,
  tokensPerSecond: ___,
  peakMemoryBytes: ____,
  ...numbers
}: Line): string {
  return JSON.stringify(numbers);
}

test('a run that is killed repeatedly resumes bit for bit: PLD, dropout, bfloat16, two micro-batches', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-resume-'));
  const at = (path: string) => join(folder, path);
  const delays: number[] = [];
  try {
    writeTiny(folder);
    const whole = await taper(['pretrain', 'tiny.yaml', '--out', 'whole', '--set', ...settings], { cwd: folder });
    assert.equal(whole.code, 0, whole.stderr);

    const words = ['pretrain', 'tiny.yaml', '--out', 'killed', '--resume', '--set', ...settings];
    for (let done = false; !done; ) {
      const before = linesOf(at('killed')).filter(({ type }) => type === 'step').length;
      const { child, ended } = start(words, { cwd: folder });
      if (delays.length < maxKills) {
        await untilSteps(at('killed'), before + 1, child);
        delays.push(Math.floor(Math.random() * maxDelayMs));
        await sleep(delays.at(-1));
        child.kill('SIGKILL');
      }
      const { code, signal, stderr } = await ended;
      assert.ok(code === 0 || signal === 'SIGKILL', stderr);
      done = code === 0;
    }
    const context = `killed after ${delays.join(', ')} ms`;
    assert.ok(delays.length >= 3, context);
    assert.deepEqual(linesOf(at('killed')).map(numbersOf), linesOf(at('whole')).map(numbersOf), context);
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      const bytesOf = (run: string) => readFileSync(at(`${run}/checkpoints/step-12/${file}`));
      assert.ok(bytesOf('killed').equals(bytesOf('whole')), `${file}, ${context}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
