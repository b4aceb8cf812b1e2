import { existsSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { ConfigError, counted, DataError, OutputError } from '../errors/index.ts';
import { npyHeader, writing } from '../files/index.ts';
import { deviceOption, jsonOption, modelArgument } from './config.ts';
import { countOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface EmbedCommandOptions {
  in: string;
  text: string;
  out: string;
  int8?: boolean;
  dimensions?: number;
  maxLength?: number;
  device: string;
  threads: number;
  json?: boolean;
}

/** Texts per line of progress. */
const chunk = 4096;

/** `taper-lm embed`: embeds texts as vectors. */
export function embedCommand(): Command {
  return new Command('embed')
    .description('turn texts into vectors, for search, clustering or a classifier')
    .argument(...modelArgument)
    .requiredOption('--in <file>', 'the texts: TSV, CSV, JSON lines or Parquet, or a .txt with one text per line')
    .option('--text <column>', 'the text column', 'text')
    .requiredOption('--out <file>', 'new .npy file (NumPy) for the vectors, one row per text')
    .option('--int8', 'write one byte per number: a quarter of the size, nearly the same cosines')
    .option('--dimensions <n>', 'keep only the first n numbers of each vector', countOf('--dimensions'))
    .option(
      '--max-length <n>',
      'longest text in tokens; longer ones are cut (default: the longest that the model reads)',
      countOf('--max-length', 8),
    )
    .addOption(deviceOption())
    .option('--threads <n>', 'threads for tensor work; 0 uses all', countOf('--threads', 0), 0)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm embed runs/search --in texts.jsonl --out vectors.npy')
    .action(run);
}

async function run(path: string, options: EmbedCommandOptions): Promise<void> {
  const { in: file, text, out, maxLength, device, dimensions } = options;
  if (!out.endsWith('.npy'))
    throw new ConfigError(`--out ${out}: vectors are written as .npy; give a name that ends in .npy`);
  if (existsSync(out)) throw new OutputError(`--out ${out}: already exists; give a new file`);
  const { openModel } = await import('../interop/index.ts');
  const { openEmbedder, textsIn } = await import('../tasks/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  setNumThreads(options.threads);
  const texts = await textsIn(file, text);
  using embedder = openEmbedder(openModel(path, warn), {
    warn,
    device,
    ...(maxLength !== undefined && { maxLength }),
    ...(dimensions !== undefined && { dimensions }),
  });
  const D = embedder.dimensions;
  const numbers = options.int8 ? new Int8Array(texts.length * D) : new Float32Array(texts.length * D);
  for (let start = 0; start < texts.length; start += chunk) {
    const vectors = await embedder.embed(texts.slice(start, start + chunk));
    for (const [i, vector] of vectors.entries()) {
      if (!vector.every(Number.isFinite))
        throw new DataError(`${path}: its vectors are not finite, so training had diverged; use an earlier checkpoint`);
      numbers.set(options.int8 ? inBytes(vector) : vector, (start + i) * D);
    }
    if (texts.length > chunk)
      process.stderr.write(`${Math.min(start + chunk, texts.length)} of ${texts.length} texts\n`);
  }
  const header = npyHeader(options.int8 ? 'Int8Array' : 'Float32Array', [texts.length, D]);
  writing(out, () => writeFileSync(out, Buffer.concat([header, Buffer.from(numbers.buffer)])));
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ texts: texts.length, dimensions: D, out })}\n`
      : `${out}: ${counted(texts.length, 'vector')} of ${counted(D, 'dimension')}\n`,
  );
}

/** The vector scaled and rounded to integers from −127 to 127. */
function inBytes(vector: Float32Array): Int8Array {
  const largest = vector.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
  return Int8Array.from(vector, (x) => Math.round((127 * x) / largest));
}
