import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markdownParts, markdownText } from './markdown.ts';

/** Lines that are not blank. */
const linesOf = (text: string) => text.split('\n').filter((line) => line.trim() !== '');

async function inParts(source: string, size: number, piece: number): Promise<{ text: string; parts: number }> {
  async function* chunks() {
    for (let at = 0; at < source.length; at += size) yield source.slice(at, at + size);
  }
  let [text, parts] = ['', 0];
  for await (const part of markdownParts(chunks(), { piece, block: 2 ** 24 })) {
    text += part;
    parts += 1;
  }
  return { text, parts };
}

test('only prose is kept', () => {
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
  assert.deepEqual(linesOf(markdownText(source)), [
    'The first heading',
    'Some linked words and a reference, bold and code. 3 < 4 > 2.',
    'quoted',
    'The end__.__', // CommonMark: no emphasis, since the letter before it makes it no beginning
  ]);
});

// What a browser shows of the page that CommonMark (0.31.2) and GitHub's tables make of the source. In brackets: the section.
const shown: [source: string, text: string][] = [
  ['[ unclosed\n\n[to the next](x)\n\n[a]: b\n', '[ unclosed\n\nto the next\n'],
  ['[ unclosed\nwords\n[a]: b', '[ unclosed\nwords\n[a]: b\n'], // (4.7) a definition cannot interrupt a paragraph
  ['a < b & c > d &amp; e &lt;f&gt; &copy; &#35; &#x22; &nope; &amp', 'a < b & c > d & e <f> © # " &nope; &amp\n'], // (2.5)
  ['`&amp; <b> *x*` ``a`b``', '&amp; <b> *x* a`b\n'], // (6.1)
  ['\\*not emphasis\\* \\[no link\\](x) \\# \\a', '*not emphasis* [no link](x) # \\a\n'], // (2.4)
  ['*a **b** c* _d_ __e__ f_g_h 2*3*4 ** x', 'a b c d e f_g_h 234 ** x\n'], // (6.2)
  ['<https://a.b/c> <me@a.b>', 'https://a.b/c me@a.b\n'], // (6.5)
  ['[a](javascript:x) [b](<x y> "t") [c] [d][nowhere]\n\n[c]: y "title"', 'a b c [d][nowhere]\n'], // (6.3)
  ['before ![alt *text*](x.png) after ![r][i]\n\n[i]: x', 'before  after\n'],
  ['one\ntwo  \nthree\\\nfour', 'one\ntwo\nthree\nfour\n'], // (6.7, 6.8)
  ['# One #\n## Two\nThree\n=====\nFour\n----\n***\nfive', 'One\n\nTwo\n\nThree\n\nFour\n\nfive\n'], // (4.1 to 4.3)
  ['#no heading\n\n    code\n\n- a\n- b\n  1. c\n     d\n- e', '#no heading\n\na\nb\nc\nd\ne\n'], // (4.2, 4.4, 5.2)
  ['- a\n\n- b\n\ntext', 'a\n\nb\n\ntext\n'],
  ['> a\nlazy\n> > b\n\nc', 'a\nlazy\n\nb\n\nc\n'], // (5.1)
  ['| a | *b* |\n|---|:-:|\n| c \\| d | `e` |\n| f |\n\ntext', 'a b\nc | d e\nf\n\ntext\n'],
  ['~~old~~ new', 'old new\n'],
  ['<div align="center">\n  <p>In a <b>bl</b>ock &amp; more</p>\n</div>\n\nafter', 'In a block & more\n\nafter\n'], // (4.6)
  ['<table><tr><td>a</td><td>b</td></tr></table>', 'a  b\n'],
  ['one<br>two<br/>three <img src="x" alt="y"> four', 'one\ntwo\nthree   four\n'],
  ['<script>\nvar a = "<p>no prose</p>";\n</script>\n<style>p { color: red }</style>\n\nprose', 'prose\n'],
  ['<!-- a\n\ncomment --> b <?php c ?> d <!DOCTYPE html> e <![CDATA[ f ]]>', 'b  d  e\n'],
  ['a\r\nb\rc\r\n\r\nd', 'a\nb\nc\n\nd\n'],
  ['', ''],
  [' \n\t\n', ''],
];

test('the text is what a browser shows of the page', () => {
  for (const [source, text] of shown) assert.equal(markdownText(source), text, JSON.stringify(source));
});

test('what only looks like markup stays', () => {
  for (const text of [
    'a <b and c> d',
    'if x <y and z> w, a Map<String> or a vector<int>',
    'run install <package-name> <dir>',
    '<!b and c> and <!ELEMENT x>',
    '<!-- never closed, and the text after it',
    '[',
    '![ no image',
    'a ] b [ c ]( d',
    '1 * 2 * 3',
    '[[a page]] and [ ] a task',
  ]) {
    assert.equal(markdownText(text), `${text}\n`);
  }
  assert.equal(markdownText('<script> without an end\n\nprose'), 'without an end\nprose\n');
  assert.equal(markdownText('<String>\nprose\n\nmore'), '<String>\nprose\n\nmore\n');
});

test('front matter is removed, but not prose between two rules', () => {
  for (const matter of ['---\ntitle: x\ntags: [a, b]\n---\n', '---\n# c\n\n"a b": 1\n...\n', '+++\na = 1\n+++\n']) {
    const wanted = matter.includes('"a b"') ? /prose/ : /^prose\n$/;
    assert.match(markdownText(`${matter}prose`), wanted);
  }
  assert.equal(markdownText('---\n\nA thought.\n\n---\n\nAnother.'), 'A thought.\n\nAnother.\n');
  assert.equal(markdownText('---\ntitle: never closed\n\nprose'), 'title: never closed\n\nprose\n');
});

test('a fence that is never closed leaves the text as it is', () => {
  assert.equal(markdownText('a\n```\nb\n\n*c*\n'), 'a\n\nb\n\n*c*\n');
  assert.equal(markdownText('a\n```\nb'), 'a\n\nb\n');
  assert.equal(markdownText('- ```\n  b\n\nc'), 'b\n\nc\n');
  assert.equal(markdownText('```\n```\n- ~~~\n  code\n  ~~~\n\nc'), 'c\n');
});

test('text at any depth stays', () => {
  const depths = Array.from({ length: 300 }, (_, i) => i);
  const list = markdownText(depths.map((i) => `${'  '.repeat(i)}- item${i}.`).join('\n'));
  const quote = markdownText(`${'> '.repeat(1000)}deep\n\nafter`);
  for (const i of depths) assert.ok(list.includes(`item${i}.`), `item${i}`);
  assert.match(quote, /deep\n\nafter\n$/);
  assert.match(markdownText(`${'['.repeat(300)}deep${'](x)'.repeat(300)}`), /deep/);
});

test('in parts of any size the text is the same, except that a link definition only applies to what follows', async () => {
  for (const [source, text] of shown.filter(([source]) => !source.includes(']: '))) {
    for (const size of [1, 3, 1000]) assert.equal((await inParts(source, size, 1)).text, text);
  }
});

test('a long document is read in parts, and the text is that of the whole', async () => {
  const blocks = [
    ...['# A heading\n\n', 'Some *prose* with a [link][1] and `code`,\nover lines.\n\n', '- a\n- b\n\n  c\n\n- d\n\n'],
    ...[
      '```\n# code\n\n```\n\n',
      '| a | b |\n|---|---|\n| c | d |\n\n',
      'Setext\n===\n\n',
      '> quote\nlazy\n\n',
      '<div>\nhtml\n</div>\n\n',
    ],
  ];
  let source = '---\ntitle: x\n---\n[1]: https://example.org\n\n';
  for (let i = 0; source.length < 200_000; i = (i * 5 + 1) % 65_537) source += blocks[i % blocks.length];
  const { text, parts } = await inParts(source, 4099, 20_000);
  assert.ok(parts >= 8, `${parts} parts`);
  assert.ok(text === markdownText(source)); // without the difference of many lines
});

test('a block that does not end is refused before memory does', async () => {
  async function* endless() {
    for (;;) yield '- item of a list\n'.repeat(100);
  }
  await assert.rejects(async () => {
    for await (const _ of markdownParts(endless(), { piece: 1000, block: 8000 }));
  }, /a single block of Markdown .* is longer than 8,000 characters; if it is plain text, name the file \.txt/);
});

test('time is linear in the length for all kinds of unclosed markup', () => {
  const marks = [
    ...[
      '[ words\n',
      '[a\n',
      '[',
      ']',
      '[](',
      '![',
      '![[]()',
      '[a](<b',
      '[a](b "',
      '[a]: b "\n',
      '[a]:\n',
      '*a_b',
      'a** b',
      '*a ',
      'a*',
    ],
    ...[
      '<',
      '<a ',
      '<a b="',
      '<!--',
      'x <!-- -',
      'x <?',
      'x <!A ',
      'x <![CDATA[',
      '<script>',
      '<script>\n\n',
      '<div>\n\n',
    ],
    ...[
      '`a``b',
      '```\ntext\n\n',
      '~~~ x\n```\n',
      '>',
      '> ',
      '* ',
      '- -',
      '1. a\n',
      '*\n',
      '* a\n\n  b\n',
      '|',
      '|a',
      'a|b\n-|-\n',
    ],
    ...['&', '&#', '\\', '#', '---\n', '---\na: b\n', 'a\n', '\n', ' ', '\t', ' \n', '<a  ', 'x\r'],
  ];
  let ladder = '';
  for (let i = 1; ladder.length < 60_000; i++) ladder += `e${'`'.repeat(i)}`;
  const wide = `${'|a'.repeat(20_000)}\n${'|-'.repeat(20_000)}\n${'|b\n'.repeat(20_000)}`;
  const sources = [...marks.map((mark) => mark.repeat(Math.ceil(60_000 / mark.length))), ladder, wide];
  for (const source of [...sources, `<a ${' '.repeat(60_000)}b>`, `<a ${'b '.repeat(50_000)}>`]) {
    // Processor time, not the clock's: other work on the machine does not count.
    const started = process.cpuUsage();
    markdownText(source);
    const seconds = process.cpuUsage(started).user / 1e6;
    assert.ok(seconds < 2, `${seconds} s for ${JSON.stringify(source.slice(0, 30))}`);
  }
});

test('a megabyte of lines that begin with a bracket, or of fences that are never closed, is read in seconds', () => {
  for (const source of ['[ some words\n'.repeat(80_000), '```\nsome text\n\n````\n'.repeat(50_000)]) {
    const started = process.cpuUsage();
    markdownText(source);
    const seconds = process.cpuUsage(started).user / 1e6;
    assert.ok(seconds < 8, `${seconds} s`);
  }
});
