import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { TextTokenizer } from '../tokenizer.ts';
import type { DocumentList } from './documents.ts';
import { type Duplicate, type DuplicateKind, duplicateKinds } from './find.ts';

const wordTokens = 16;
/** The most lines of each kind shown as examples. */
const numExamples = 3;

/** Where a document is: it is the `number`th, from 1, of the text that a key of the configuration names, and begins with these `words`. */
export interface DocumentPlace {
  text: string;
  number: number;
  words: string;
}

/** A line of the report: a document that repeats an earlier one, and the estimated Jaccard similarity of their runs of five tokens. */
export interface DuplicateLine {
  kind: DuplicateKind;
  similarity: number;
  document: DocumentPlace & { tokens: number };
  repeats: DocumentPlace;
}

/** The last line of the report: all documents and tokens, the number of duplicates, and the tokens of the duplicates. */
export interface DuplicateCounts {
  documents: number;
  tokens: number;
  exact: number;
  near: number;
  repeatedTokens: number;
}

const place = z.strictObject({ text: z.string(), number: z.int().min(1), words: z.string() });

const lineSchema: z.ZodType<DuplicateLine> = z.strictObject({
  kind: z.enum(duplicateKinds),
  similarity: z.number().min(0).max(1),
  document: place.extend({ tokens: z.int().min(1) }),
  repeats: place,
});

const lastLineSchema: z.ZodType<DuplicateCounts & { sha256: string }> = z.strictObject({
  documents: z.int().min(0),
  tokens: z.int().min(0),
  exact: z.int().min(0),
  near: z.int().min(0),
  repeatedTokens: z.int().min(0),
  sha256: z.string(),
});

/** The duplicates in some texts, as their report has them. */
export interface Duplicates extends DuplicateCounts {
  /** The report: JSON lines, one for each duplicate, and one that counts them. */
  path: string;
  /** By the name of the text: the documents that repeat others, from 0 and in ascending order. */
  repeated: ReadonlyMap<string, Uint32Array>;
  /** The first lines of each kind. */
  examples: DuplicateLine[];
}

/** Writes a line for each duplicate, and one that counts them and has the SHA-256 of the others and of the counts. */
export async function writeReport(
  path: string,
  list: DocumentList,
  duplicates: AsyncIterable<Duplicate>,
  tokenizer: TextTokenizer,
): Promise<void> {
  const counts: DuplicateCounts = { documents: list.count, tokens: list.tokens, exact: 0, near: 0, repeatedTokens: 0 };
  const placed = (document: number) => {
    const { name, number } = list.placeOf(document);
    const words = tokenizer.decode(list.beginningOf(document, wordTokens)).replace(/\s+/g, ' ').trim();
    return { text: name, number: number + 1, words };
  };
  const hash = createHash('sha256');
  async function* lines() {
    for await (const { document, kind, repeats, similarity } of duplicates) {
      const tokens = list.placeOf(document).length;
      counts[kind]++;
      counts.repeatedTokens += tokens;
      const line: DuplicateLine = {
        kind,
        similarity: Number(similarity.toFixed(3)),
        document: { ...placed(document), tokens },
        repeats: placed(repeats),
      };
      const text = `${JSON.stringify(line)}\n`;
      hash.update(text);
      yield text;
    }
    const sha256 = hash.update(JSON.stringify(counts)).digest('hex');
    yield `${JSON.stringify({ ...counts, sha256 })}\n`;
  }
  await pipeline(Readable.from(lines()), createWriteStream(path));
}

/**
 * Reads a report of these texts.
 *
 * @throws Error if it is not as it was written.
 */
export async function readReport(path: string, names: readonly string[]): Promise<Duplicates> {
  const repeated = new Map(names.map((name): [string, number[]] => [name, []]));
  const examples: DuplicateLine[] = [];
  const seen = { exact: 0, near: 0 };
  const hash = createHash('sha256');
  let counts: DuplicateCounts | undefined;
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (counts) throw new Error('continues after its last line');
    const found: unknown = JSON.parse(text);
    const line = lineSchema.safeParse(found);
    if (!line.success) {
      const { sha256, ...rest } = lastLineSchema.parse(found);
      if (hash.update(JSON.stringify(rest)).digest('hex') !== sha256) throw new Error('does not match its checksum');
      counts = rest;
      continue;
    }
    hash.update(`${text}\n`);
    const { kind, document } = line.data;
    const numbers = repeated.get(document.text);
    if (!numbers) throw new Error(`names an unknown text: ${document.text}`);
    numbers.push(document.number - 1);
    seen[kind]++;
    if (seen[kind] <= numExamples) examples.push(line.data);
  }
  if (!counts) throw new Error('its last line is missing');
  const sorted = [...repeated].map(([name, numbers]): [string, Uint32Array] => [name, Uint32Array.from(numbers)]);
  return { ...counts, path, repeated: new Map(sorted), examples };
}
