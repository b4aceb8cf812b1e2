import { closeSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/index.ts';
import { openTexts, openTokenizer } from '../../src/train/index.ts';
import { booksIn } from '../books.ts';

/** Where the trainings are. */
export const runs = fileURLToPath(new URL('../../../runs/quality', import.meta.url));
/** What transformers' program reads. */
export const [sequences, tokenizerFile] = [join(runs, 'sequences.u16'), join(runs, 'tokenizer.json')];

/** Where the tokenised books are kept. */
export const cache = join(runs, 'cache');

/** Writes the training text for transformers, cut and tokenised as taper's. */
export async function writeSequences(books: string): Promise<void> {
  mkdirSync(runs, { recursive: true });
  const { config } = loadConfig({ file: 'configs/quality.yaml', overrides: { data: booksIn(books, cache) } });
  const report = { note: console.log, warn: console.warn };
  const tokenizer = await openTokenizer(config, report);
  const texts = await openTexts(config, tokenizer, report);
  const { samples } = texts.train(0);
  // Another ladder may be reading the old one, or writing the same.
  const written = `${sequences}.${process.pid}`;
  const file = openSync(written, 'w');
  for (let sample = 0; sample < samples.count; sample++)
    writeSync(file, Uint16Array.from(samples.read({ seed: 1, epoch: 0, sample }).ids));
  closeSync(file);
  texts.close();
  renameSync(written, sequences);
  writeFileSync(tokenizerFile, tokenizer.json);
}
