import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressLine } from './progress-line.ts';

const training = { parts: ['loss 10.43', 'θ 0.87', '10.5/12 blocks', '12.3k tokens/s'], left: '2h07m' };

test('a line of progress shows everything where there is room', () => {
  assert.equal(
    progressLine(50, 100, training, 120),
    '█████░░░░░ 50/100 loss 10.43 θ 0.87 10.5/12 blocks 12.3k tokens/s 2h07m left',
  );
  assert.match(progressLine(0, 100, training, 120), /^░{10} 0\/100 /);
  assert.match(progressLine(100, 100, training, 120), /^█{10} 100\/100 /);
});

test('a line of progress fits its width and keeps the count and the time that is left: the bar shrinks first, then the last parts go', () => {
  assert.equal(
    progressLine(50, 100, training, 72),
    '███░░ 50/100 loss 10.43 θ 0.87 10.5/12 blocks 12.3k tokens/s 2h07m left',
  );
  assert.equal(
    progressLine(50, 100, training, 66),
    '50/100 loss 10.43 θ 0.87 10.5/12 blocks 12.3k tokens/s 2h07m left',
  );
  assert.equal(progressLine(50, 100, training, 40), '50/100 loss 10.43 θ 0.87 2h07m left');
  assert.equal(progressLine(100_000, 1_000_000, training, 40), '100000/1000000 loss 10.43 2h07m left');
  const tuning = { parts: ['loss 0.53', 'a-file-with-a-very-long-name-indeed.csv, seed 12'], left: '3m05s' };
  assert.equal(progressLine(7, 900, tuning, 40), '░░░░░░░░░░ 7/900 loss 0.53 3m05s left');
  for (const status of [training, tuning, { ...training, left: '1,234 days' }]) {
    for (const width of [20, 40, 60, 80, 120]) {
      const line = progressLine(99_999, 100_000, status, width);
      assert.ok(line.length <= width, line);
      assert.ok(line.endsWith(`${status.left} left`), line);
      if (width >= 40) assert.match(line, /(^| )99999\/100000 /);
    }
  }
});
