import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandText } from './command.ts';

test('a command is quoted where a shell would take it for something else', () => {
  const words = ['npx', 'taper-lm', 'pretrain', 'a.yaml', '--set', 'data.train=[my texts/*.txt]', "it's", ''];
  assert.equal(commandText(words), "npx taper-lm pretrain a.yaml --set 'data.train=[my texts/*.txt]' 'it'\\''s' ''");
});
