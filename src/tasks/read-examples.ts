import { DataError } from '../errors/index.ts';
import { areBlank, cellOf, warnOfBlank, warnOfMalformed } from './cells.ts';
import { charactersIn, formatOf, naming, noRows, numberedLines, placeOf, type Row, readRows } from './tables.ts';

/** A row of a table, and the texts in it. */
export interface TableExample {
  row: Row;
  texts: readonly string[];
}

/**
 * The examples of a file, one after the other, in bounded memory: the rows of a table, or the lines of a .txt. `texts` are the text
 * columns, and `all` names all columns of a table without a header; `warn` is called for lines that were skipped, and for rows without a text.
 *
 * @throws DataError if the file or a column is missing, or the file is broken or empty; names the line.
 */
export async function* examplesIn(
  path: string,
  { texts, all }: { texts: readonly string[]; all?: readonly string[] | undefined },
  warn: (message: string) => void,
): AsyncGenerator<TableExample> {
  if (formatOf(path)?.isLines) {
    let hasLines = false;
    for await (const line of naming(path, linesIn(charactersIn(path)))) {
      yield line;
      hasLines = true;
    }
    if (!hasLines) throw new DataError(`${path}: has no texts; give a file with one text per line`);
    return;
  }
  const advice = 'name the right one with --text, or all columns with --columns if the file has no header';
  const [malformed, blank]: [number[], number[]] = [[], []];
  let isEmpty = true;
  for await (const { row, number } of readRows(path, all)) {
    if (row) {
      const where = placeOf(path, number);
      const example = { row, texts: texts.map((column) => String(cellOf(row, column, where, advice))) };
      if (areBlank(example.texts)) blank.push(number);
      yield example;
      isEmpty = false;
    } else malformed.push(number);
  }
  warnOfMalformed(path, malformed, warn);
  warnOfBlank(path, blank, warn);
  if (isEmpty) throw noRows(path);
}

/** The lines of a text that are not blank, as examples with the column `text`. */
export async function* linesIn(characters: AsyncIterable<string>): AsyncGenerator<TableExample> {
  for await (const { text } of numberedLines(characters)) if (text.trim() !== '') yield lineExample(text);
}

/** A text as an example with the column `text`. */
export const lineExample = (text: string): TableExample => ({ row: { text }, texts: [text] });
