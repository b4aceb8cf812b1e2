import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('fuzz.js', import.meta.url));
const heapMegabytes = 512;
const mostBytes = 1e9;
const silentMs = 30_000;

/** What is read, by what its files are, and how many broken ones `npm run test:faults` tries. */
export const kinds: Record<string, number> = {
  config: 5000,
  deepspeed: 5000,
  text: 5000,
  jsonl: 5000,
  gzip: 5000,
  nulls: 5000,
  markdown: 5000,
  parquet: 5000,
  tokens: 1000, // each trains two tokenizers, and the library keeps some of their memory
  binaryParquet: 5000,
  corpus: 5000,
  glue: 5000,
  glueParquet: 5000,
  tables: 5000,
  safetensors: 5000,
  checkpoint: 5000,
  huggingFace: 5000,
  tokenizerFiles: 5000,
};

/**
 * Reads `count` broken files of a kind in a process of its own, and gives how many were refused and the most memory that it
 * took. Throws where that process crashes, hangs, takes too much memory, or fails with an error that is not for people.
 */
export function fuzz(kind: string, seed: number, count: number): Promise<{ refused: number; peakBytes: number }> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const words = [`--max-old-space-size=${heapMegabytes}`, program, kind, `${seed}`, `${count}`];
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, said] = ['', ''];
  let silence = setTimeout(() => child.kill('SIGKILL'), silentMs);
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-4000);
    clearTimeout(silence);
    silence = setTimeout(() => child.kill('SIGKILL'), silentMs);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => {
      clearTimeout(silence);
      if (code !== 0) {
        reject(
          new Error(`${kind}, seed ${seed}: ended with ${code ?? signal}; the last case and what it said:\n${said}`),
        );
        return;
      }
      const result = JSON.parse(stdout) as { refused: number; peakBytes: number };
      if (result.peakBytes > mostBytes) reject(new Error(`${kind}, seed ${seed}: took ${result.peakBytes} bytes`));
      else resolve(result);
    });
  });
}
