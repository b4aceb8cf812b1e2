import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { globSync } from 'tinyglobby';

// The English of documents, comments and messages: British spelling, and no phrase that reads as translated. cspell.json says
// which files are read; tests/words.txt lists the words that cspell does not know.

const root = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');
const { files, ignorePaths } = JSON.parse(textOf('cspell.json')) as { files: string[]; ignorePaths: string[] };

/** Phrases that are not used, each with better words. A space stands for any white space, a line break in a comment included. */
const phrases: readonly [RegExp, string][] = [
  [/(?<!(all|both|each|half|most|none|one|some) )of (which|whose)/, 'a new sentence, or "whose"'],
  [/so many/, 'the number, or "this many"'],
  [/the same of/, '"the same for"'],
  [/for ever/, '"forever", "indefinitely"'],
  [/(go|goes|going|gone|went) on/, '"continues", "resumes", "proceeds"'],
  [/(is|are|was|were|be) told(?! (apart|to))/, '"is reported", "is printed"'],
  [/(is|are|was|were) said(?! to)/, '"is reported", "is given"'],
  [/what (it|each \w+) came to/, '"result"'],
  [/(every|all) blocks? on/, '"dense", "the full model"'],
  [/tera-?FLOPs?/, '"TFLOPs"'], // cspell:disable-line
  [/gates? a block/, '"one gate per block"'],
  [
    /(bytes|FLOPs|GB|KB|MB|ms|requests|samples|seconds|sequences|steps|times|tokens) an? (block|micro-batch|rank|second|step|token)/,
    '"per"',
  ],
  [/[\d,]{4,} pieces|(right|wrong) (pieces?|tokens?)/, '"tokens", "correct token"'],
  [/mend(s|ed|ing)?/, '"fix"'],
  [/(took|takes?|taking|in) (the )?place of/, '"replaces", "instead of"'],
  [/(is|are) there already/, '"already exists"'],
  [/(is|are|was|were) not there/, '"is missing", "does not exist"'],
  [/as many as (it|they) (has|have)/, '"all of its"'],
  [/(hears?|heard) of/, '"is called with"'],
  [/wavers?/, '"perplexity"'],
  [/lay .{1,20} over the others?/, '"overlay"'],
  [/(errors|warnings) alone/, '"only warnings"'],
  [/number to be found/, '"predict a number"'],
  [/processor multiplies/, '"this CPU supports"'],
  [/moments forget/, '"β₁ and β₂"'],
  [/as (it stands|they stand)/, '"unchanged"'],
  [/in silence/, '"silently"'],
  [/(no|none) multiple of/, '"not a multiple of"'],
  [/whoever|whosoever|whatsoever/, '"the caller", "everyone who"'],
  [/(?<!once )upon|hence|lest|thereof|whereof|wherein/, '"on", "so", "in which"'],
  [/(save|but) for(?= (the|a|its|rounding)\b)/, '"except for"'],
  [/(an?|and|are|by|for|in|is|of|that|the|to|with) \1/, 'one of the two words'],
];

test('every word is British English or one of tests/words.txt', () => {
  const cspell = ['node_modules/cspell/bin.mjs', 'lint', '--no-progress', '--no-summary'];
  const { status, stdout, stderr } = spawnSync(process.execPath, cspell, { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}fix the spelling, or add the term to tests/words.txt`);
});

test('the word list is sorted', () => {
  const words = textOf('tests/words.txt').trimEnd().split('\n');
  assert.deepEqual(words, words.toSorted(new Intl.Collator('en').compare));
});

test('no text uses a phrase that reads as translated', () => {
  const paths = globSync(files, { cwd: root, ignore: [...ignorePaths, 'tests/words.test.ts'] });
  assert.ok(paths.length > 500);
  const found = paths.flatMap((path) => {
    const text = textOf(path);
    // In a comment, a line begins with `//` or `*`; the length stays, for the number of the line.
    const flat = text.replace(/\n *(\/\/|\*|#)? */g, (start) => ' '.repeat(start.length));
    return phrases.flatMap(([phrase, better]) =>
      Array.from(
        flat.matchAll(new RegExp(`\\b(?:${phrase.source.replaceAll(' ', ' +')})\\b`, 'gi')),
        ({ 0: words, index }) => {
          const line = text.slice(0, index).split('\n').length;
          return `${path}:${line}: "${words.replace(/ +/g, ' ')}"; better: ${better}`;
        },
      ),
    );
  });
  assert.deepEqual(found, []);
});
