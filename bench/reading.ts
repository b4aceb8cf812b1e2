import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer';
import { runNode } from './programs.ts';
import { table, writeResults } from './report.ts';

const modules = ['../src/data/index.js', './resident.js'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const rowCharacters = 3400;
const largeBytes = 640e6;

/** Reads a file in a process of its own, and prints what came of it and the resident peak. */
const reader = `
const [data, resident, path] = process.argv.slice(1);
const { listSources, readTexts } = await import(data);
const { residentMb } = await import(resident);
let [bytes, said] = [0, ''];
const started = performance.now();
try {
  for await (const text of readTexts(await listSources([path]), { textField: 'text' })) bytes += Buffer.byteLength(text);
} catch (error) {
  said = error.message.replace(path, 'FILE');
}
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ bytes, said, seconds, peakMb: residentMb('peak') }));`;

/** Memory to read large files of each kind, which are made for that. */
export async function reading(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  const rows: (string | number)[][] = [['file', 'MB', 'text, MB', 'seconds', 'peak resident, MB', 'refused']];
  try {
    for (const [name, make] of Object.entries(files)) {
      const path = join(folder, name);
      await make(path);
      const found = runNode(['--input-type=module', '-e', reader, '--', ...modules, path]);
      const { bytes, said, seconds, peakMb } = JSON.parse(found) as Record<'bytes' | 'seconds' | 'peakMb', number> & {
        said: string;
      };
      const megabytes = (value: number) => (value / 1e6).toFixed(0);
      rows.push([name, megabytes(statSync(path).size), megabytes(bytes), seconds.toFixed(1), peakMb.toFixed(0), said]);
      console.log(rows.at(-1)!.join('  '));
      rmSync(path);
    }
    writeResults(
      'reading',
      'Memory to read large files',
      'npm run bench -- reading',
      `Each file is read in a separate process.\n\n${table(rows)}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The text of a row, each another. */
export function row(number: number): string {
  let text = `Row ${number}.`;
  for (let i = number; text.length < rowCharacters; i = (i * 1_103_515_245 + 12_345) % 2 ** 31)
    text += ` word${i % 49_999}`;
  return text;
}

/** Writes pieces of text until they are as long as is asked for. */
async function write(path: string, piece: (number: number) => string, head = ''): Promise<void> {
  function* pieces() {
    yield head;
    for (let [bytes, number] = [0, 0]; bytes < largeBytes; number++) {
      const text = piece(number);
      bytes += text.length;
      yield text;
    }
  }
  const out = createWriteStream(path);
  if (path.endsWith('.gz')) await pipeline(Readable.from(pieces()), createGzip({ level: 1 }), out);
  else await pipeline(Readable.from(pieces()), out);
}

const files: Record<string, (path: string) => Promise<void>> = {
  'one-group.parquet': async (path) => {
    const data = Array.from({ length: largeBytes / rowCharacters }, (_, i) => row(i));
    await parquetWriteFile({
      filename: path,
      columnData: [{ name: 'text', data, encoding: 'PLAIN' }],
      rowGroupSize: 1e9,
    });
  },
  'lines.jsonl': (path) => write(path, (i) => `${JSON.stringify({ text: row(i) })}\n`),
  'one-line.jsonl': (path) => write(path, row, '{"text":"'),
  'one-line.jsonl.gz': (path) => write(path, row, '{"text":"'),
  'paragraphs.md': (path) => write(path, (i) => `${row(i)}\n\n`),
  'paragraphs.md.gz': (path) => write(path, (i) => `${row(i)}\n\n`),
  'one-list.md': (path) => write(path, (i) => `- ${row(i)}\n`),
};
