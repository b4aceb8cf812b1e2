import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { nextText } from './start-next.ts';

const gap = { before: 'The', after: 'of the house' };

test("after a first run come commands with the user's texts and epochs that fit them", () => {
  const text = nextText({ out: 'runs/start', texts: [resolve('my/texts'), '/srv/more texts'], tokens: 447_000, gap });
  assert.match(text, /^ {2}npx taper-lm fill runs\/start 'The \[MASK\] of the house'$/m);
  for (const name of ['plan', 'pretrain']) {
    const command = `  npx taper-lm ${name} configs/encoder.yaml --data my/texts '/srv/more texts' --set train.epochs=80`;
    assert.ok(text.includes(`${command}\n`), text);
  }
});

test('a large text gets the length of the configuration', () => {
  const text = nextText({ out: 'runs/start', texts: ['hf:datasets/a/b:train'], tokens: 1e9, gap: undefined });
  assert.match(text, /^ {2}npx taper-lm pretrain configs\/encoder\.yaml --data hf:datasets\/a\/b:train$/m);
  assert.match(text, /fill runs\/start 'The \[MASK\] sat\.'/);
});
