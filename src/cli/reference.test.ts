import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig, settings } from '../config/index.ts';
import { evalFields, stepFields } from '../runs/index.ts';
import { configurationMarkdown, withMetricTables } from './reference.ts';

const markdown = configurationMarkdown();

test('every key has a row of four cells with its type, default and meaning', () => {
  for (const { key, path } of settings) {
    const row = markdown.split('\n').find((line) => line.startsWith(`| \`${key}\` |`));
    assert.equal(row?.split(' | ').length, 4, path);
    assert.ok(!row?.includes('undefined'), row);
  }
});

test('rows say what the schema says', () => {
  assert.ok(markdown.includes('| `thetaBar` | number in (0, 1] | `0.5` | θ̄, the lowest keep rate'));
  assert.ok(markdown.includes('| `steps` | integer ≥ 1 | computed from `epochs` | '));
  assert.ok(markdown.includes('| `norm` | `pre`, `post` | `pre` | '));
  assert.ok(markdown.includes('| `heads` | integer ≥ 1 | `hiddenSize` / 64 | '));
  assert.ok(markdown.includes('| `bert-large` | `bert` | 24 | 1024 | 16 | 4096 |'));
});

test('the command in the introduction works', () => {
  const [, set] = /--set '([^']+)'/.exec(markdown) ?? [];
  const { data } = loadConfig({ sets: ['model.preset=bert-mini', 'train.steps=1', set ?? ''] }).config;
  assert.deepEqual(data.train, ['texts/*.txt']);
});

test('a documented default is what a config gets that does not say', () => {
  const { config } = loadConfig({ sets: ['model.preset=bert-mini', 'train.steps=1'] });
  for (const setting of settings.filter((candidate) => candidate.default !== undefined)) {
    const section: Record<string, unknown> = config[setting.section];
    assert.deepEqual(section[setting.key], setting.default, setting.path);
  }
});

test('the pages in docs/ are those that npm run docs writes', () => {
  const page = (name: string) => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
  assert.equal(page('configuration.md'), markdown);
  assert.equal(page('metrics.md'), withMetricTables(page('metrics.md')));
});

test('docs/metrics.md has every field, and every tag', () => {
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  for (const name of [...Object.keys(stepFields), ...Object.keys(evalFields)])
    assert.ok(page.includes(`| \`${name}\` |`), name);
});
