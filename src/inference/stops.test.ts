import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstStop, heldBack } from './stops.ts';

test('the first of several stops ends a text', () => {
  assert.equal(firstStop('one. two! three.', ['!', '. ']), 3);
  assert.equal(firstStop('one', ['two']), -1);
});

test('what may become a stop, or another character, is held back', () => {
  assert.equal(heldBack('The end', ['end.', 'x']), 3);
  assert.equal(heldBack('The en', ['end.', 'n']), 2);
  assert.equal(heldBack('The e', ['end.']), 1);
  assert.equal(heldBack('Tho', ['end.']), 0);
  assert.equal(heldBack('caf\uFFFD', []), 1);
});
