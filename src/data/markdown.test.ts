import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripMarkdown } from './markdown.ts';

test('prose stays and what is not prose goes', () => {
  const source = `---
title: A page
---
# The *first* heading

[![badge](https://ci/x.svg)](https://ci) ![a picture](p.png "title")
Some [linked words](https://example.org/a(1) "t") and [a reference][1], <b>bold</b> and \`code\`. 3 < 4 > 2.

<!-- a comment
over lines -->
\`\`\`ts
const code = '<!-- no prose -->';
\`\`\`
> quoted

~~~
more code
~~~

---
The end__.__

[1]: https://example.org
`;
  assert.deepEqual(
    stripMarkdown(source)
      .split('\n')
      .filter((line) => line.trim() !== ''),
    [
      'The *first* heading',
      // The closing bracket of a nested parenthesis stays: no parser.
      'Some linked words "t") and a reference, bold and code. 3 < 4 > 2.',
      'quoted',
      'The end.',
    ],
  );
});

test('a fence that is never closed leaves the text as it is', () => {
  assert.equal(stripMarkdown('a\n```\nb\n'), 'a\n\nb\n');
});

test('marks without an end are passed over quickly', () => {
  // Processor time, not the clock's: other work on the machine does not count.
  const started = process.cpuUsage();
  for (const mark of ['[ ', '![ ', '<!-- ', '<a ', '[a](']) stripMarkdown(mark.repeat(100_000));
  const { user } = process.cpuUsage(started);
  assert.ok(user < 10e6, `${user / 1e6} s`);
});
