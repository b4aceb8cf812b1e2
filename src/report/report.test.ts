import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportHtml } from './report.ts';

test('a page has its figures inline, also those whose path names a folder', () => {
  const figures = { 'loss.svg': '<svg>1</svg>', 'theta.svg': '<svg>2</svg>' };
  const page = reportHtml({ markdown: '# Run\n\n![loss](my%20runs/loss.svg)\n\n![theta](theta.svg)\n', figures });
  assert.match(page, /<figure role="img" aria-label="loss"><svg>1<\/svg><\/figure>/);
  assert.match(page, /<figure role="img" aria-label="theta"><svg>2<\/svg><\/figure>/);
});
