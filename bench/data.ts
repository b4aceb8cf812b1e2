import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listSources, prepareCorpus, readTexts, tokenizerKinds } from '../src/data/index.ts';
import { table, writeResults } from './report.ts';

/** Tokenising a corpus from a cold start: raw text a second and resident memory. */
export async function data(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) throw new Error('give the corpus: npm run bench -- data my/texts');
  const cacheDir = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  try {
    const files = await listSources(paths);
    const rows: (string | number)[][] = [
      [
        'vocabulary',
        'training the tokenizer, s',
        'raw text, MB',
        'tokenising, s',
        'MB/s',
        'CPU seconds',
        'MB per CPU second',
        'tokens, million',
        'peak resident, MB',
      ],
    ];
    for (const [kind, vocabSize] of [
      ['bert', 8000],
      ['bert', 30_522],
      ['gpt2', 30_522],
    ] as const) {
      const started = performance.now();
      const texts = readTexts(files, { textField: 'text', maxBytesPerFile: 64e6 / files.length });
      const tokenizer = await tokenizerKinds[kind].train(texts, { vocabSize, lowercase: true, maxBytes: 64e6 });
      const trained = performance.now();
      const cpu = process.cpuUsage();
      const corpus = await prepareCorpus({ paths, tokenizer, cacheDir });
      const seconds = (performance.now() - trained) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const { textBytes, tokens } = corpus.index;
      corpus.close();
      rows.push([
        `${tokenizerKinds[kind].title}, ${tokenizer.vocabSize}`,
        ((trained - started) / 1000).toFixed(1),
        (textBytes / 1e6).toFixed(1),
        seconds.toFixed(1),
        (textBytes / 1e6 / seconds).toFixed(1),
        ((user + system) / 1e6).toFixed(1),
        (textBytes / (user + system)).toFixed(1),
        (tokens / 1e6).toFixed(1),
        ((process.resourceUsage().maxRSS * 1024) / 1e6).toFixed(0),
      ]);
    }
    const text = `${files.length} files, tokenised from a cold start, the tokenizer trained on 64 MB of them.\n\n${table(rows)}`;
    writeResults('tokenisation', 'Tokenisation', 'npm run bench -- data FILES', text);
  } finally {
    rmSync(cacheDir, { recursive: true });
  }
}
