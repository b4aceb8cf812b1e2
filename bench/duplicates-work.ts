// Looks for duplicates in the first parts of what bench/duplicates.ts made, and compares them with what was planted.
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import {
  type DocumentPlace,
  type DuplicateKind,
  type DuplicateLine,
  openCorpus,
  openDuplicates,
} from '../src/data/index.ts';
import { edits, planOf, wordsOf, wordTokenizer } from './duplicates-corpus.ts';

const shingleTokens = 5;
const numCompared = 200;

/** What was found, and what had been planted with each edit. */
export interface Found {
  kind: DuplicateKind;
  documents: number;
  tokens: number;
  seconds: number;
  processorSeconds: number;
  classes: { edit: number; planted: number; jaccard: number; found: number }[];
  /** Documents that went though they were not planted, and have less than 0.6 in common with the document that they supposedly repeat. */
  wrong: number;
}

const [folder, parts, kind] = process.argv.slice(2) as [string, string, Found['kind']];
const tokenizer = wordTokenizer();
const corpora = Array.from({ length: Number(parts) }, (_, part) => {
  const cache = join(folder, `${part}`);
  return { name: `${part}`, corpus: openCorpus(join(cache, readdirSync(cache)[0]!)) };
});
console.log('open');
const started = performance.now();
const before = process.cpuUsage();
const { path, documents, tokens } = await openDuplicates(corpora, { kind, tokenizer, cacheDir: folder });
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(before);
const processorSeconds = (user + system) / 1e6;
console.log('done');

const firsts = new Map<string, number>();
let total = 0;
for (const { name, corpus } of corpora) {
  firsts.set(name, total - 1); // the report counts from 1
  total += corpus.index.documents;
}
const numberOf = ({ text, number }: DocumentPlace) => firsts.get(text)! + number;
const repeats = new Int32Array(documents).fill(-1);
for await (const line of createInterface({ input: createReadStream(path) })) {
  const found = JSON.parse(line) as Partial<DuplicateLine>;
  if (found.document && found.repeats) repeats[numberOf(found.document)] = numberOf(found.repeats);
}

const classes = [0, ...edits].map((edit) => ({ edit, planted: 0, jaccard: 0, found: 0, compared: 0 }));
let wrong = 0;
for (let document = 0; document < documents; document++) {
  const planned = planOf(document);
  const found = repeats[document]! >= 0;
  if (planned) {
    const its = classes.find(({ edit }) => edit === planned.edit)!;
    its.planted++;
    if (its.compared < numCompared) {
      its.jaccard += jaccard(document, planned.source);
      its.compared++;
    }
    if (found) its.found++;
  }
  if (found && repeats[document] !== planned?.source && jaccard(document, repeats[document]!) < 0.6) wrong++;
}
const counted = classes.map(({ compared, ...its }) => ({ ...its, jaccard: its.jaccard / Math.max(1, compared) }));
const found: Found = { kind, documents, tokens, seconds, processorSeconds, classes: counted, wrong };
console.log(JSON.stringify(found));

/** The Jaccard similarity of the runs of five words of two documents, by counting them. */
function jaccard(a: number, b: number): number {
  const [first, second] = [shinglesOf(a), shinglesOf(b)];
  const shared = [...first].filter((shingle) => second.has(shingle)).length;
  return shared / (first.size + second.size - shared);
}

function shinglesOf(document: number): Set<string> {
  const words = wordsOf(document);
  return new Set(
    Array.from({ length: words.length - shingleTokens + 1 }, (_, i) => words.slice(i, i + shingleTokens).join()),
  );
}
