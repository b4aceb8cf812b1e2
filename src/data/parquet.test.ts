// cspell:ignore wörds
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { DataError } from '../errors/index.ts';
import { temporaryFolder } from './fixtures.ts';
import { listSources } from './listing.ts';
import { openParquetColumn } from './parquet.ts';
import { readTexts } from './sources.ts';

type Written = Parameters<typeof parquetWriteBuffer>[0];

function write(t: TestContext, options: Written): string {
  const path = join(temporaryFolder(t), 'a.parquet');
  writeFileSync(path, new Uint8Array(parquetWriteBuffer(options)));
  return path;
}

async function textsOf(path: string, textField = 'text'): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of readTexts(await listSources([path]), { textField })) texts.push(text);
  return texts;
}

const words = (i: number) => `Row ${i}: ${'some wörds '.repeat((i * 7) % 50)}.`;

test('the rows are those that hyparquet reads, for all codecs, encodings, pages and groups', async (t) => {
  const rows = Array.from({ length: 700 }, (_, i) => (i % 11 === 0 ? null : words(i)));
  const repeated = Array.from({ length: 700 }, (_, i) => (i % 5 === 0 ? null : `One of seven: ${i % 7}.`));
  const other = Array.from({ length: 700 }, (_, i) => i);
  for (const data of [rows, repeated, rows.map((row) => row ?? 'there')]) {
    for (const options of [
      { pageSize: 2048, rowGroupSize: 300, codec: 'SNAPPY' as const },
      { pageSize: 1 << 30, codec: 'UNCOMPRESSED' as const },
      { pageSize: 20_000, rowGroupSize: 70 },
    ]) {
      for (const encoding of [undefined, 'PLAIN', 'DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY'] as const) {
        const text = { name: 'text', data, type: 'STRING' as const, nullable: true, ...(encoding && { encoding }) };
        const buffer = parquetWriteBuffer({ columnData: [{ name: 'other', data: other }, text], ...options });
        const path = join(temporaryFolder(t), 'a.parquet');
        writeFileSync(path, new Uint8Array(buffer));
        const whole = await parquetReadObjects({ file: buffer, columns: ['text'], compressors });
        const wanted = whole.map((row) => row.text).filter((text) => text !== null && text !== undefined);
        assert.deepEqual(await textsOf(path), wanted);
      }
    }
  }
});

test('only one page of the text column is in memory, for row groups of any size, and no other column is read', async (t) => {
  const rows = Array.from({ length: 2000 }, (_, i) => `${i} ${'word '.repeat(1000)}`);
  const others = rows.map((row) => `${row}${row}`);
  const columnData = [
    { name: 'text', data: rows },
    { name: 'other', data: others },
  ].map((column) => ({ ...column, type: 'STRING' as const, encoding: 'PLAIN' as const }));
  const pageSize = 1 << 17;
  const path = write(t, { columnData, pageSize, rowGroupSize: 1e9, codec: 'UNCOMPRESSED' });
  const column = await openParquetColumn(path, 'text');
  let [fraction, numPages, numRows, most] = [0, 0, 0, 0];
  for await (const page of column.pages((read) => {
    fraction += read;
  })) {
    // The values are parts of the buffer that was read.
    most = Math.max(most, ...Array.from(page as Uint8Array[], ({ buffer }) => buffer.byteLength));
    numPages += 1;
    numRows += page.length;
  }
  assert.equal(numRows, 2000);
  assert.ok(numPages > 50, `${numPages} pages`); // 10 MB of text in one group
  assert.ok(most < 2 * pageSize, `${most} bytes`);
  assert.ok(Math.abs(fraction - 1) < 1e-9);
});

test('a binary column is text where its bytes are UTF-8, and an error that names the row where they are not', async (t) => {
  const bytes = (text: string, encoding: BufferEncoding = 'utf8') => new Uint8Array(Buffer.from(text, encoding));
  const columnOf = (data: Uint8Array[]) => ({
    columnData: [{ name: 'text', data, type: 'BYTE_ARRAY' as const }],
  });
  assert.deepEqual(await textsOf(write(t, columnOf([bytes('naïve'), bytes('café')]))), ['naïve', 'café']);
  for (const rows of [
    [bytes('a'), bytes('caf\xe9', 'latin1')],
    [bytes('a'), bytes('caf\xe9', 'latin1'), bytes('a'), bytes('a')], // in a dictionary
  ]) {
    const path = write(t, columnOf(rows));
    await assert.rejects(
      textsOf(path),
      (error: Error) =>
        error instanceof DataError &&
        error.message.startsWith(`${path}, row 2: the column "text" contains bytes that are not UTF-8 text`),
    );
  }
});

test('a column of strings whose bytes are not UTF-8 is an error too', async (t) => {
  const path = write(t, {
    columnData: [{ name: 'text', data: ['a', 'caf~', 'b'], type: 'STRING', encoding: 'PLAIN' }],
    codec: 'UNCOMPRESSED',
  });
  const file = readFileSync(path);
  file[file.indexOf('caf~') + 3] = 0xe9;
  writeFileSync(path, file);
  await assert.rejects(textsOf(path), /row 2: the column "text" contains bytes that are not UTF-8 text/);
});

test('a column of lists, structures or numbers is an error that says so', async (t) => {
  const path = write(t, {
    schema: [
      { name: 'root', num_children: 2 },
      { name: 'text', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
      { name: 'number', repetition_type: 'REQUIRED', type: 'INT64' },
    ],
    columnData: [
      { name: 'text', data: [['a', 'b'], ['c']] },
      { name: 'number', data: [7n, 8n] },
    ],
  });
  await assert.rejects(textsOf(path), /the column "text" contains lists or several fields in each row, not a string/);
  await assert.rejects(textsOf(path, 'number'), /row 1: the field "number" is 7, not a string/);
  await assert.rejects(textsOf(path, 'body'), /no field "body"; found "text", "number"/);
});

test('a page header with any byte changed is read to its end, or refused', async (t) => {
  const data = Array.from({ length: 90 }, (_, i) => (i % 11 === 0 ? null : `One of seven: ${i % 7}.`));
  const column = { name: 'text', data, type: 'STRING' as const, nullable: true };
  const whole = Buffer.from(parquetWriteBuffer({ columnData: [column], codec: 'UNCOMPRESSED' }));
  const path = join(temporaryFolder(t), 'a.parquet');
  let refused = 0;
  const headers = whole.length / 2; // the texts are short: most of the first half is headers, and what they describe
  for (let at = 4; at < headers; at++) {
    for (const byte of [0x00, 0x15, 0x25, 0x7f, 0xff]) {
      const broken = Buffer.from(whole);
      broken[at] = byte;
      writeFileSync(path, broken);
      try {
        await textsOf(path);
      } catch (error) {
        assert.ok(error instanceof DataError, String(error));
        refused += 1;
      }
    }
  }
  assert.ok(refused > headers);
});

// With pyarrow 25: table = pa.table({'text': pa.array([None, None, 'Some text.', None], pa.string())}), written by
// ParquetWriter('a.parquet', table.schema, compression='lz4', store_schema=False, write_statistics=False), row_group_size=2.
const nullGroup =
  'UEFSMRUEFQAVAkwVABUAEgAAABUAFQ4VECwVBBUQFQYVBhwAAABwAgAAAAQAABUEFRwVHkwVAhUAEgAA4AoAAABTb21lIHRleHQu' +
  'FQAVEhUULBUEFRAVBhUGHAAAAJACAAAAAwEBAgAVBBksNQAYBnNjaGVtYRUCABUMJQIYBHRleHQlAEwcAAAAFggZLBkcJgAcFQwZ' +
  'NQAGEBkYBHRleHQVDhYEFlAWVCYmJggpLBUEFQAVAgAVABUQFQIAPBYAGQYZJgQAAAAAFlAWBCYIFlQAGRwmABwVDBk1AAYQGRgE' +
  'dGV4dBUOFgQWcBZ0JpYBJlwpLBUEFQAVAgAVABUQFQIAPBYUGQYZJgICAAAAFnAWBCZcFnQAKCBwYXJxdWV0LWNwcC1hcnJvdyB2' +
  'ZXJzaW9uIDI1LjAuMRkcHAAAANcAAABQQVIx';

test('a row group with only null texts is skipped, although LZ4 packs its empty dictionary', async (t) => {
  const path = join(temporaryFolder(t), 'a.parquet');
  writeFileSync(path, Buffer.from(nullGroup, 'base64'));
  assert.deepEqual(await textsOf(path), ['Some text.']);
});

test('two columns of one name are refused where they hold the text', async (t) => {
  const columnData = ['text', 'text', 'other'].map((name, i) => ({ name, data: [`${name} ${i}`] }));
  const path = write(t, { columnData });
  await assert.rejects(
    textsOf(path),
    (error: Error) => error instanceof DataError && /has several columns named "text"; rename/.test(error.message),
  );
  assert.deepEqual(await textsOf(path, 'other'), ['other 2']);
});
