import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesText, duration, flopsText, percent, rounded, table } from './format.ts';

test('numbers keep three digits that count, and large ones their thousands', () => {
  assert.deepEqual([0.012345, 1.5, 12.34, 999.5, 1234.5, 1e6].map(rounded), [
    '0.0123',
    '1.5',
    '12.3',
    '1000',
    '1,235',
    '1,000,000',
  ]);
});

test('durations have two units at most, and never sixty of one', () => {
  assert.deepEqual([0.4, 59.6, 61, 3599.7, 7199, 90_000].map(duration), [
    '0s',
    '1m00s',
    '1m01s',
    '1h00m',
    '2h00m',
    '25h00m',
  ]);
});

test('durations above two days are given in days', () => {
  const days = 24 * 3600;
  assert.deepEqual([2 * days, 2 * days + 60, 3.2 * days, 14.04 * days, 400 * days, 2000 * days].map(duration), [
    '48h00m',
    '2 days',
    '3.2 days',
    '14 days',
    '400 days',
    '2,000 days',
  ]);
});

test('FLOPs take the SI prefix that leaves one to three digits before the point', () => {
  assert.deepEqual([1, 999, 1000, 1.234e12, 5e26].map(flopsText), [
    '1 FLOPs',
    '999 FLOPs',
    '1 kFLOPs',
    '1.23 TFLOPs',
    '500 YFLOPs',
  ]);
});

test('a fraction is shown in per cent with one digit', () => {
  assert.deepEqual([0.2684, 0, 1].map(percent), ['26.8 %', '0.0 %', '100.0 %']);
});

test('the columns of a table are aligned', () => {
  assert.equal(
    table([
      ['step', '0', '100'],
      ['θ', '1.000', '0.5'],
    ]),
    'step      0  100\nθ     1.000  0.5\n',
  );
});

test('bytes are megabytes, and gigabytes from one on', () => {
  assert.deepEqual([1.234e6, 999e6, 1e9, 123.4e9].map(bytesText), ['1.23 MB', '999 MB', '1 GB', '123 GB']);
});
