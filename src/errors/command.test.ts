import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandText, startedText } from './command.ts';
import { startedWith } from './started-with.ts';

test('a command is quoted where a shell would take it for something else', () => {
  const words = ['npx', 'taper-lm', 'pretrain', 'a.yaml', '--set', 'data.train=[my texts/*.txt]', "it's", ''];
  assert.equal(commandText(words), "npx taper-lm pretrain a.yaml --set 'data.train=[my texts/*.txt]' 'it'\\''s' ''");
});

test('a recorded command is what a person types, for any place of the program', () => {
  const typed = 'npx taper-lm pretrain tiny.yaml';
  const programs = [
    '/home/ada/.npm/_npx/1f2e3d/node_modules/.bin/taper-lm',
    '/home/ada/project/node_modules/.bin/taper-lm',
    '/home/ada/project/node_modules/taper-lm/dist/src/cli/main.js',
    '/usr/local/bin/taper',
  ];
  for (const program of programs) assert.equal(startedText([program, 'pretrain', 'tiny.yaml']), typed);
  assert.equal(startedText(['/home/ada/taper/dist/src/cli/start.js', 'my texts']), "npm start -- 'my texts'");
  assert.equal(startedText(['/home/ada/taper/dist/src/cli/start.js']), 'npm start');
  assert.equal(startedText(['/home/ada/train.js', 'x']), 'node /home/ada/train.js x');
  assert.equal(startedText(['/home/ada/taper/dist/bench/run.js', 'quality']), 'npm run bench -- quality');
});

test('a command can be repeated with more options, and is left out if it is not one of taper', () => {
  const options = ['--set', 'train.epochs=20'];
  assert.equal(
    startedWith(options, ['/usr/local/bin/taper', 'pretrain', 'a.yaml', '--data', 'my texts']),
    "npx taper-lm pretrain a.yaml --data 'my texts' --set train.epochs=20",
  );
  const given = 'pretrain --set a=1 train.epochs=9 b=2 --set c=3 train.steps=10 --out runs/a mine.yaml'.split(' ');
  assert.equal(
    startedWith([...options, '--out', 'runs/b'], ['/usr/local/bin/taper', ...given]),
    'npx taper-lm pretrain --set a=1 train.epochs=9 b=2 --set c=3 train.epochs=20 --out runs/b mine.yaml',
  );
  for (const other of [['/home/ada/train.js', 'x'], ['/home/ada/taper/dist/src/cli/start.js'], []])
    assert.equal(startedWith(options, other), 'add --set train.epochs=20');
});
