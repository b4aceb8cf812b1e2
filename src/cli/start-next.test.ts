import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { firstRuns, nextText } from './start-next.ts';

const speed = { secondsPerStep: 0.12, run: 'runs/start', longer: 'runs/start-longer', bigger: 'runs/start-larger' };

test("after a first run come commands with the user's texts and epochs that fit them", () => {
  const command = ['fill', 'runs/start', 'The [MASK] of the house.'];
  const texts = [resolve('my/texts'), '/srv/more texts'];
  const text = nextText({ command, texts, tokens: 447_000, ...firstRuns.encoder, ...speed });
  assert.match(text, /^ {2}npx taper-lm fill runs\/start 'The \[MASK\] of the house\.'$/m);
  const longer =
    "Train the same model for 5,000 steps, about 10m00s at this run's speed; new models need 2,000 or more:\n" +
    "  npx taper-lm pretrain configs/start.yaml --data my/texts '/srv/more texts' --out runs/start-longer --set train.steps=5000\n";
  assert.ok(text.includes(longer), text);
  for (const name of ['plan', 'pretrain']) {
    const larger = `  npx taper-lm ${name} configs/encoder.yaml --data my/texts '/srv/more texts' --set train.epochs=80`;
    const out = name === 'pretrain' ? ' --out runs/start-larger' : '';
    assert.ok(text.includes(`${larger}${out}\n`), text);
  }
});

test('a run that was stopped can be resumed', () => {
  const given = { command: ['fill'], texts: ['my'], ...firstRuns.encoder, ...speed };
  assert.match(
    nextText({ ...given, isStopped: true }),
    /^What next:\n {2}npx taper-lm pretrain --resume --out runs\/start$/m,
  );
  assert.doesNotMatch(nextText(given), /--resume/);
});

test('settings of the text are repeated', () => {
  const sets = ['data.textField=body'];
  const text = nextText({ command: ['fill'], texts: ['my'], tokens: 447_000, sets, ...firstRuns.encoder, ...speed });
  assert.match(text, /--out runs\/start-longer --set data\.textField=body train\.steps=5000$/m);
  assert.match(text, /^ {2}npx taper-lm plan .* --set data\.textField=body train\.epochs=80$/m);
});

test('after an encoder comes a classifier, after a decoder none', () => {
  const given = { command: ['fill', 'runs/start', 'The [MASK].'], texts: ['my'], ...speed };
  const tune =
    '  npx taper-lm finetune runs/start --train my/table.csv --text text --label label --out runs/classifier\n';
  assert.ok(nextText({ ...given, ...firstRuns.encoder }).endsWith(tune));
  assert.doesNotMatch(nextText({ ...given, ...firstRuns.decoder }), /finetune/);
});

test('a large text gets the length of the configuration that follows the first one', () => {
  const command = ['generate', 'runs/start', 'The'];
  const given = { ...firstRuns.decoder, ...speed, secondsPerStep: 0.6 };
  const text = nextText({ command, texts: ['hf:datasets/a/b:train'], tokens: 1e9, ...given });
  assert.match(
    text,
    /^ {2}npx taper-lm pretrain configs\/decoder\.yaml --data hf:datasets\/a\/b:train --out runs\/start-larger$/m,
  );
  assert.match(text, /for 2,000 steps, about 20m00s/);
});
