import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { runNode } from './programs.ts';
import { row } from './reading.ts';
import { table, writeResults } from './report.ts';

const numRows = 1000;
const filesInFolder = 100;
const wordsInFile = 60;

/** Lists, trains a tokenizer on, and tokenises what is at a path, in a process of its own with a heap of 256 MB. */
const preparer = `
const [data, train, resident, path, cacheDir] = process.argv.slice(1);
const { listSources, sharedSources, prepareCorpus } = await import(data);
const { trainTokenizer } = await import(train);
const { residentMb } = await import(resident);
let since = performance.now();
const seconds = () => { const now = performance.now(); const took = (now - since) / 1000; since = now; return took; };
const files = await listSources([path]);
const listing = seconds();
await sharedSources(files, files);
const comparing = seconds();
const tokenizer = await trainTokenizer(files, { kind: 'bert', vocabSize: 8000, lowercase: true, textField: 'text' });
const training = seconds();
let [silence, last] = [0, performance.now()];
const cpu = process.cpuUsage();
const onProgress = () => { const now = performance.now(); silence = Math.max(silence, now - last); last = now; };
const corpus = await prepareCorpus({ paths: [path], tokenizer, cacheDir, onProgress });
const tokenising = seconds();
const { user, system } = process.cpuUsage(cpu);
const { documents, tokens, textBytes, shards } = corpus.index;
corpus.close();
console.log(JSON.stringify({ listing, comparing, training, tokenising, cpuSeconds: (user + system) / 1e6, silence: silence / 1000,
  documents, tokens, textBytes, shards: shards.length, peakMb: residentMb('peak') }));`;

type Measured = Record<
  | 'listing'
  | 'comparing'
  | 'training'
  | 'tokenising'
  | 'cpuSeconds'
  | 'silence'
  | 'documents'
  | 'tokens'
  | 'textBytes'
  | 'shards'
  | 'peakMb',
  number
>;

/** Texts that are larger than a shard, than memory, and many: time and memory to prepare them. */
export async function large([gigabytes = '5', numFiles = '100000', ...names]: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  const modules = ['../src/data/index.js', '../src/train/tokenizers.js', './resident.js'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const rows: (string | number)[][] = [
    [
      'source',
      'text, MB',
      'documents',
      'tokens, million',
      'shards',
      'listing, s',
      'comparing, s',
      'training the tokenizer, s',
      'tokenising, s',
      'CPU seconds',
      'MB per CPU second',
      'longest silence, s',
      'peak resident, MB',
    ],
  ];
  const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 1 });
  try {
    for (const [name, make] of Object.entries(sources)) {
      if (names.length > 0 && !names.includes(name)) continue;
      const path = join(folder, name);
      await make(path, { bytes: Number(gigabytes) * 1e9, numFiles: Number(numFiles) });
      const args = ['--max-old-space-size=256', '--input-type=module', '-e', preparer, '--', ...modules, path, folder];
      const found = JSON.parse(runNode(args)) as Measured;
      const { listing, comparing, training, tokenising, cpuSeconds, silence, documents, shards, peakMb } = found;
      const [megabytes, tokens] = [found.textBytes / 1e6, found.tokens / 1e6];
      rows.push(
        [
          name,
          megabytes,
          documents,
          tokens,
          shards,
          listing,
          comparing,
          training,
          tokenising,
          cpuSeconds,
          megabytes / cpuSeconds,
          silence,
          peakMb,
        ].map((value) => (typeof value === 'number' ? number(value) : value)),
      );
      console.log(rows.at(-1)!.join('  '));
      rmSync(path, { recursive: true });
    }
    writeResults(
      'large',
      'Large texts',
      `npm run bench -- large ${gigabytes} ${numFiles}`,
      `Each source is prepared in a separate process with \`--max-old-space-size=256\`. Comparing is the search for files that are both held out and trained on; silence is the time without a progress report.\n\n${table(rows)}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Rows of text, each another, until they are as long as is asked for. */
function* texts(bytes: number): Generator<string> {
  const rows = Array.from({ length: numRows }, (_, i) => row(i));
  for (let [done, i] = [0, 0]; done < bytes; i++) {
    const text = `Number ${i}. ${rows[i % numRows]}`;
    done += text.length;
    yield text;
  }
}

function* lines(bytes: number, lineOf: (text: string) => string): Generator<string> {
  let lines = '';
  for (const text of texts(bytes)) {
    lines += `${lineOf(text)}\n`;
    if (lines.length < 1 << 20) continue;
    yield lines;
    lines = '';
  }
  yield lines;
}

const toJson = (text: string) => JSON.stringify({ text });

const sources: Record<string, (path: string, size: { bytes: number; numFiles: number }) => Promise<void> | void> = {
  'one.txt': (path, { bytes }) => pipeline(Readable.from(lines(bytes, (text) => text)), createWriteStream(path)),
  'rows.jsonl': (path, { bytes }) => pipeline(Readable.from(lines(bytes, toJson)), createWriteStream(path)),
  'rows.jsonl.gz': (path, { bytes }) =>
    pipeline(Readable.from(lines(bytes, toJson)), createGzip({ level: 1 }), createWriteStream(path)),
  files: (path, { numFiles }) => {
    for (let i = 0; i < numFiles; i++) {
      const folder = join(path, String(Math.floor(i / filesInFolder ** 2)), String(Math.floor(i / filesInFolder)));
      if (i % filesInFolder === 0) mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${i}.txt`), row(i).split(' ').slice(0, wordsInFile).join(' '));
    }
  },
};
