import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PageHeader } from 'hyparquet';
import { checkRuns } from './parquet-page.ts';

// Levels of ten values as apache/parquet-format, Encodings.md, writes them: their length, then runs.
const header = { data_page_header: { num_values: 10, encoding: 'PLAIN' } } as PageHeader;
const page = (...runs: number[]) => Uint8Array.of(runs.length, 0, 0, 0, ...runs);

test('runs of as many levels as a page has values are taken: repeated, bit-packed and filled up, and both', () => {
  for (const runs of [
    [10 << 1, 1],
    [(2 << 1) | 1, 0xff, 0x03],
    [2 << 1, 0, (1 << 1) | 1, 0xff],
  ]) {
    checkRuns(header, page(...runs), true);
  }
});

test('runs of more values than a page has, or that end too early, are an error', () => {
  for (const runs of [
    [11 << 1, 1],
    [0xfe, 0xff, 0xff, 0xff, 0x0f, 1], // 2³¹ − 1 values
    [(2 << 1) | 1, 0xff],
    [9 << 1, 1],
    [],
  ]) {
    assert.throws(() => checkRuns(header, page(...runs), true), /runs/);
  }
});
