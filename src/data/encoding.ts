import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { commandText, DataError } from '../errors/index.ts';

const chunkBytes = 1 << 20;

const asText = 'in the program that made it, save it as CSV UTF-8 or as plain text';
/** Files that are not text whatever their names say, by their first bytes in hexadecimal. */
const others = [
  { begins: '504b0304', what: 'an Excel, Word or zip file', advice: asText },
  { begins: 'd0cf11e0', what: 'an old Excel or Word file', advice: asText },
  { begins: '25504446', what: 'a PDF file', advice: 'convert it with pdftotext' },
  { begins: '50415231', what: 'a Parquet file', advice: 'let its name end in .parquet' },
  { begins: '1f8b', what: 'a gzip file', advice: 'unpack it with gunzip' },
];

/** A file, and its name in messages. */
interface TextFile {
  path: string;
  name: string;
  /** What to do with it if its encoding is unknown. */
  otherwise?: string;
}

/**
 * The characters of a UTF-8 file, unpacked if its name ends in .gz, without a byte order mark. `onRead` gets the number of bytes
 * of the file that were read since its last call.
 *
 * @throws DataError if they are not UTF-8 or contain a zero byte, with the command that converts them if the encoding is known.
 */
export async function* readCharacters(
  file: TextFile & { bytes: number },
  onRead?: (bytes: number) => void,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isFirst = true;
  for await (const bytes of readBytes(file, onRead)) {
    checkBytes(file, bytes, isFirst);
    yield decode(file, () => decoder.decode(bytes, { stream: true }), 'is not UTF-8 text');
    isFirst = false;
  }
  yield decode(file, () => decoder.decode(), 'is not UTF-8 text at its end, and may be truncated');
}

/**
 * The bytes of a whole UTF-8 file as characters, without a byte order mark.
 *
 * @throws DataError as `readCharacters` does; `otherwise` says what to do with a file of unknown encoding.
 */
export function charactersOf(path: string, bytes: Buffer, otherwise: string): string {
  const file = { path, name: path, otherwise };
  checkBytes(file, bytes, true);
  const text = () => new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  return decode(file, text, 'is not UTF-8 text');
}

function checkBytes({ path, name, otherwise = 'exclude it' }: TextFile, bytes: Buffer, isFirst: boolean): void {
  const other = isFirst ? foreignKindOf(bytes) : undefined;
  if (other !== undefined) throw new DataError(`${name}: is ${other}`);
  const wide = wideEncoding(bytes, isFirst);
  if (wide !== undefined) throw new DataError(`${name}: is ${wide} text, not UTF-8; ${conversion(path, wide)}`);
  if (bytes.includes(0)) throw new DataError(`${name}: contains a zero byte, so it is not text; ${otherwise}`);
}

/** What a file is if it is of another program, and what to do: `a PDF file, not text; convert it with pdftotext`. */
export function foreignKind(path: string): string | undefined {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return foreignKindOf(bytes);
}

function foreignKindOf(bytes: Buffer): string | undefined {
  const start = bytes.toString('hex', 0, 4);
  const other = others.find(({ begins }) => start.startsWith(begins));
  return other && `${other.what}, not text; ${other.advice}`;
}

function decode({ path, name, otherwise = 'exclude it' }: TextFile, text: () => string, fault: string): string {
  try {
    return text();
  } catch (cause) {
    // Windows' own code has all characters of ISO-8859-1.
    const advice = conversion(path, 'WINDOWS-1252');
    throw new DataError(`${name}: ${fault}; if it is WINDOWS-1252, as of Excel, ${advice}; otherwise ${otherwise}`, {
      cause,
    });
  }
}

/** UTF-16 or UTF-32, by its byte order mark or by the positions of its zero bytes. */
function wideEncoding(bytes: Buffer, isFirst: boolean): string | undefined {
  if (!isFirst) return undefined;
  const mark = bytes.subarray(0, 4).toString('hex');
  if (mark === 'fffe0000' || mark === '0000feff') return 'UTF-32';
  if (/^(?:fffe|feff)/.test(mark)) return 'UTF-16';
  const zeros = [0, 0, 0, 0];
  const sample = bytes.subarray(0, 4096);
  sample.forEach((byte, i) => {
    if (byte === 0) zeros[i % 4]! += 1;
  });
  const [a, b, c, d] = zeros as [number, number, number, number];
  const many = sample.length / 4 / 50; // only spaces and line ends, in a script whose letters have no zero byte
  if (a + c === 0 && b > many && d > many) return 'UTF-16LE';
  if (b + d === 0 && a > many && c > many) return 'UTF-16BE';
  if (a === 0 && b + c + d > sample.length / 2) return 'UTF-32LE';
  if (d === 0 && a + b + c > sample.length / 2) return 'UTF-32BE';
  return undefined;
}

/** The advice to convert a file, with the command, which keeps the file as `.bak`. */
function conversion(path: string, encoding: string): string {
  const [from, kept] = [commandText([path]), commandText([`${path}.bak`])];
  const command = `iconv -f ${encoding} -t UTF-8`;
  const convert = isGzip(path) ? `gzip -dc ${kept} | ${command} | gzip > ${from}` : `${command} ${kept} > ${from}`;
  return `convert it: mv ${from} ${kept} && ${convert}`;
}

const isGzip = (path: string) => path.toLowerCase().endsWith('.gz');

function readBytes(
  { path, bytes: size }: { path: string; bytes: number },
  onRead?: (bytes: number) => void,
): AsyncIterable<Buffer> {
  const highWaterMark = Math.min(chunkBytes, size + 1); // with many small files, allocating a large buffer for each is most of the work
  const file = createReadStream(path, { highWaterMark });
  async function* counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      onRead?.(chunk.length);
      yield chunk;
    }
  }
  if (!isGzip(path)) return counted(file);
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  // The reader of `gunzip` gets every error of the pipeline, so that its own callback has nothing to do.
  return pipeline(file, counted, gunzip, () => {});
}
