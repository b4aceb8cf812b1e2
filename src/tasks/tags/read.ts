import { readFileSync } from 'node:fs';
import { charactersOf } from '../../data/index.ts';
import { counted, DataError } from '../../errors/index.ts';
import { shown } from '../cells.ts';
import { formatOf, readTable } from '../tables.ts';
import { outside } from './entities.ts';
import type { Sentence } from './example.ts';

/** A sentence as its file has it, with its place there. */
export interface RawSentence {
  words: string[];
  form: Sentence['form'];
  /** A tag for each word, unless the sentence is only predicted. */
  tags: string[];
  where: string;
  text?: string;
  places?: [number, number][];
}

/** The columns or fields of words and tags: numbers from 1 in a CoNLL file, names in JSON lines or Parquet. */
export interface TagColumns {
  words?: string | undefined;
  tags?: string | undefined;
}

/**
 * Reads sentences with tags: CoNLL columns, with one word per line and an empty line between sentences; or JSON lines or Parquet
 * with `tokens` and `tags`, or with `text` and `spans`, whose `start` and `end` count characters.
 *
 * @throws DataError for a file that is missing, empty or broken, with the line.
 */
export async function readSentences(path: string, columns: TagColumns, isTagged: boolean): Promise<RawSentence[]> {
  const found = formatOf(path)?.namesColumns
    ? await readRows(path, columns, isTagged)
    : readConll(path, columns, isTagged);
  if (found.length === 0)
    throw new DataError(`${path}: contains no sentences; give a file with one word and its tag per line`);
  return found;
}

function readConll(path: string, columns: TagColumns, isTagged: boolean): RawSentence[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file; give the path of a CoNLL file, JSON lines or Parquet' : message;
    throw new DataError(`${path}: ${why}`, { cause });
  }
  const text = charactersOf(path, bytes, 'give another file');
  const separator = text.includes('\t') ? '\t' : /[ \u00a0]+/;
  const [wordAt, tagAt] = [columnNumber(columns.words, '--text'), columnNumber(columns.tags, '--label')];
  const sentences: RawSentence[] = [];
  let open: RawSentence | undefined;
  const lines = text.split(/\r\n|\n|\r/).map((line) =>
    line
      .replace(/ +$/, '')
      .split(separator)
      .map((cell) => cell.trim()),
  );
  const isEmpty = (cells: readonly string[]) => cells.every((cell) => cell === '');
  const width = commonWidth(lines.filter((cells) => !isEmpty(cells) && !cells[0]!.startsWith('#')));
  for (const [i, cells] of lines.entries()) {
    const where = `${path}, line ${i + 1}`;
    if (isNoWord(cells, width, !open)) continue;
    if (isEmpty(cells)) {
      open = undefined;
      continue;
    }
    const word = cells[(wordAt ?? 1) - 1];
    const tag = cells[(tagAt ?? cells.length) - 1];
    if (word === undefined || (isTagged && (tag === undefined || (tagAt ?? cells.length) === (wordAt ?? 1)))) {
      throw new DataError(
        `${where}: has ${cells.length === 1 ? 'one column' : `${cells.length} columns`}; write a word and its tag, separated by a tab`,
      );
    }
    if (word === '') throw new DataError(`${where}: has a tag but no word; write the word before it`);
    if (isTagged && tag === '')
      throw new DataError(
        `${where}: the word ${JSON.stringify(word)} has no tag; write ${outside} for a word outside entities`,
      );
    if (!open) {
      open = { words: [], tags: [], where, form: 'columns' };
      sentences.push(open);
    }
    open.words.push(word);
    if (isTagged) open.tags.push(tag!);
  }
  return sentences;
}

/**
 * Whether a line with these cells is not a word: the start of a document; a comment, which begins with # before the first word of
 * a sentence and has a different number of cells than words have; or, as in Universal Dependencies, several words in one (`1-2`)
 * or one that is not in the text (`1.1`).
 */
function isNoWord(cells: readonly string[], width: number, isFirst: boolean): boolean {
  const [first] = cells as [string];
  const isComment = isFirst && first.startsWith('#') && (cells.length !== width || cells[2] === '=');
  return isComment || first === '-DOCSTART-' || (width > 2 && /^\d+[-.]\d+$/.test(first));
}

/** How many cells most lines have. */
function commonWidth(lines: readonly (readonly string[])[]): number {
  const counts = new Map<number, number>();
  for (const { length } of lines) counts.set(length, (counts.get(length) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), [1, 0])[0];
}

function columnNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new DataError(
    `${option} ${text}: the columns of a CoNLL file have no names; give the number of a column, counted from 1`,
  );
}

async function readRows(path: string, columns: TagColumns, isTagged: boolean): Promise<RawSentence[]> {
  const { rows, where } = await readTable(path);
  return rows.map((row, i) => {
    const place = where(i);
    const words = row[columns.words ?? 'tokens'];
    if (Array.isArray(words)) {
      if (words.length === 0) throw new DataError(`${place}: has no tokens; remove the line`);
      const tags = isTagged ? row[columns.tags ?? 'tags'] : words.map(() => '');
      if (!Array.isArray(tags))
        throw new DataError(
          `${place}: ${columns.tags ?? 'tags'} is ${shown(tags)}, not a list of tags; name the right one with --label`,
        );
      if (tags.length !== words.length)
        throw new DataError(
          `${place}: has ${counted(words.length, 'token')} but ${counted(tags.length, 'tag')}; give one tag per token`,
        );
      return { words: words.map(String), tags: tags.map(String), where: place, form: 'lists' };
    }
    const text = row[columns.words ?? 'text'];
    if (typeof text !== 'string') {
      throw new DataError(`${place}: has neither a list of tokens nor a text; name the right column with --text`);
    }
    return { ...fromSpans(text, isTagged ? row[columns.tags ?? 'spans'] : [], place), where: place };
  });
}

/** A word: a run of letters, marks and digits, or any other character that is not a space. */
const word = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

/** The words of a text, and where they are in it. */
export function sentenceOf(text: string): Pick<Required<RawSentence>, 'words' | 'text' | 'places' | 'form'> {
  const words = [...text.matchAll(word)];
  // Offsets count characters, as in Python; strings here count those beyond U+FFFF as two.
  let [at, characters] = [0, 0];
  const places = words.map(([own], i): [number, number] => {
    const start = words[i]!.index!;
    characters += [...text.slice(at, start)].length;
    const from = characters;
    characters += [...own].length;
    at = start + own.length;
    return [from, characters];
  });
  return { words: words.map(([own]) => own), text, places, form: 'spans' };
}

/** The words of a text, with tags made from spans: B- for the first word of each, I- for the others. */
function fromSpans(text: string, spans: unknown, where: string): Omit<RawSentence, 'where'> {
  const sentence = sentenceOf(text);
  const { words, places } = sentence;
  if (words.length === 0) throw new DataError(`${where}: the text has no words; remove the line`);
  const tags = words.map(() => outside);
  if (!Array.isArray(spans)) {
    throw new DataError(
      `${where}: spans is ${shown(spans)}, not a list such as [{"start": 0, "end": 4, "label": "PER"}]`,
    );
  }
  const length = [...text].length;
  for (const span of spans as unknown[]) {
    const [start, end, label] = Array.isArray(span) ? (span as unknown[]) : fieldsOf(span);
    if (!Number.isInteger(start) || !Number.isInteger(end) || typeof label !== 'string' || label === '') {
      throw new DataError(
        `${where}: ${JSON.stringify(span)} is not a span; write {"start": 0, "end": 4, "label": "PER"}`,
      );
    }
    const named = `the span ${label} from ${start} to ${end}`;
    if ((start as number) < 0 || (end as number) > length || (start as number) >= (end as number)) {
      throw new DataError(`${where}: ${named} is not within the ${length} characters of its text; count them from 0`);
    }
    const inside = places.flatMap(([from, to], i) => (from < (end as number) && to > (start as number) ? [i] : []));
    if (inside.length === 0) throw new DataError(`${where}: ${named} contains no word; count the characters from 0`);
    for (const [k, i] of inside.entries()) {
      if (tags[i] !== outside) throw new DataError(`${where}: ${named} overlaps another; keep one of them`);
      tags[i] = `${k === 0 ? 'B' : 'I'}-${label}`;
    }
  }
  return { ...sentence, tags };
}

function fieldsOf(span: unknown): unknown[] {
  const { start, end, label } = (span ?? {}) as Record<string, unknown>;
  return [start, end, label];
}
