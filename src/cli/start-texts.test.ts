import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { englishMarkdown, maskedSentence } from './start-texts.ts';

const english = 'This is the manual of a small tool, and it says what you can do with it in a few words. '.repeat(10);
const french = "Ceci est le manuel d'un petit outil, et il dit en peu de mots ce que vous pouvez en faire. ".repeat(10);

test('English prose is found in the manual of npm, or else in packages; changelogs, translations and lists of code are not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-markdown-'));
  try {
    const files = {
      'project/node_modules/a/README.md': english,
      'project/node_modules/@scope/b/docs/Guide.MD': english,
      'project/node_modules/a/README.fr.md': french,
      'project/node_modules/a/CHANGELOG.md': english,
      'project/node_modules/a/license.md': english,
      'project/node_modules/a/short.md': 'The end of the story.',
      'project/node_modules/a/code.md': `\`\`\`js\n${english}\n\`\`\`\n`,
      'project/own.md': english,
      'npm/docs/content/commands/npm-ls.md': english,
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    mkdirSync(join(folder, 'npm/bin'));
    const found = async (script?: string) =>
      (await englishMarkdown(join(folder, 'project'), script)).map((path) => relative(folder, path));
    const packages = ['project/node_modules/@scope/b/docs/Guide.MD', 'project/node_modules/a/README.md'];
    assert.deepEqual(await found(join(folder, 'npm/bin/npm-cli.js')), ['npm/docs/content/commands/npm-ls.md']);
    assert.deepEqual(await found(join(folder, 'none/bin/npm-cli.js')), packages);
    assert.deepEqual(await found(), packages);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the longest word of the first sentence of fair length is masked', () => {
  assert.equal(
    maskedSentence('Oh no! The old farmer carries a basket of apples home. The end.'),
    'The old farmer [MASK] a basket of apples home.',
  );
  assert.equal(maskedSentence('Too short. No.'), undefined);
});
