import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { configurationMarkdown } from '../config/index.ts';

test('docs/configuration.md is what the schema says; `npm run docs` writes it anew', () => {
  const page = new URL('../../../docs/configuration.md', import.meta.url);
  assert.equal(readFileSync(page, 'utf8'), configurationMarkdown());
});
