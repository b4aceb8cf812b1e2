import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slowdown, watchProcessors } from './share.ts';

test('a slowdown is reported if the process gets little time and others want the processors', () => {
  const busy = { load: 5.1, processors: 2 };
  assert.match(
    slowdown(0.4, busy)!,
    /^another program .* gets 40 % of its time, .* about 2\.5 times as long as alone$/,
  );
  assert.equal(slowdown(0.9, busy), undefined);
  assert.equal(slowdown(0.4, { load: 1.2, processors: 2 }), undefined, 'it waits for something else');
});

test('a time too short to tell says nothing', () => {
  assert.equal(watchProcessors(1000)(), undefined);
});
