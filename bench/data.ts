import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listSources, prepareCorpus, readTexts, trainWordPiece } from '../src/data/index.ts';
import { table, writeResults } from './report.ts';

/** Tokenising a corpus from a cold start: raw text a second and resident memory. */
export async function data(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) throw new Error('give the corpus: npm run bench -- data my/texts');
  const cacheDir = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  try {
    const files = await listSources(paths);
    const rows: (string | number)[][] = [
      ['vocabulary', 'training it, s', 'raw text, MB', 'tokenising, s', 'MB/s', 'tokens, million', 'peak resident, MB'],
    ];
    for (const vocabSize of [8000, 30522]) {
      const started = performance.now();
      const texts = readTexts(files, { textField: 'text', maxBytesPerFile: 64e6 / files.length });
      const tokenizer = await trainWordPiece(texts, { vocabSize, lowercase: true, maxBytes: 64e6 });
      const trained = performance.now();
      const corpus = await prepareCorpus({ paths, tokenizer, cacheDir });
      const seconds = (performance.now() - trained) / 1000;
      const { textBytes, tokens } = corpus.index;
      corpus.close();
      rows.push([
        tokenizer.vocabSize,
        ((trained - started) / 1000).toFixed(1),
        (textBytes / 1e6).toFixed(1),
        seconds.toFixed(1),
        (textBytes / 1e6 / seconds).toFixed(1),
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
