import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { firstRuns, nextText } from './start-next.ts';

test("after a first run come commands with the user's texts and epochs that fit them", () => {
  const command = ['fill', 'runs/start', 'The [MASK] of the house.'];
  const { next } = firstRuns.encoder;
  const text = nextText({ command, texts: [resolve('my/texts'), '/srv/more texts'], tokens: 447_000, next });
  assert.match(text, /^ {2}npx taper-lm fill runs\/start 'The \[MASK\] of the house\.'$/m);
  for (const name of ['plan', 'pretrain']) {
    const larger = `  npx taper-lm ${name} configs/encoder.yaml --data my/texts '/srv/more texts' --set train.epochs=80`;
    assert.ok(text.includes(`${larger}\n`), text);
  }
});

test('a large text gets the length of the configuration that follows the first one', () => {
  const command = ['generate', 'runs/start', 'The'];
  const { next } = firstRuns.decoder;
  const text = nextText({ command, texts: ['hf:datasets/a/b:train'], tokens: 1e9, next });
  assert.match(text, /^ {2}npx taper-lm pretrain configs\/decoder\.yaml --data hf:datasets\/a\/b:train$/m);
});
