import { type FileHandle, open } from 'node:fs/promises';
import {
  asyncBufferFromFile,
  type ColumnMetaData,
  type DecodedArray,
  type PageHeader,
  parquetMetadataAsync,
  parquetSchema,
  type RowGroup,
} from 'hyparquet';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { getTreePath, isFlatColumn } from 'hyparquet/src/schema.js';
import { checkRuns, sizeOf, unpackPage } from './parquet-page.ts';

type Decoder = Parameters<typeof readPage>[2];

/** Bytes read first for a page's header, which is longer if it contains statistics of long texts. */
const headerBytes = 1 << 12;
// Texts stay bytes: hyparquet would replace what is not UTF-8.
const parsers = { ...DEFAULT_PARSERS, stringFromBytes: (bytes: Uint8Array) => bytes };

/** The names of a Parquet file's columns, and the values of one of them. */
export interface ParquetColumn {
  names: string[];
  /** Whether each row has one value; undefined if there is no such column. */
  isFlat: boolean | undefined;
  /** The column's values, a page at a time, strings as their bytes. `onRead` gets the fraction of the column that was read since its last call. */
  pages(onRead: (fraction: number) => void): AsyncGenerator<DecodedArray>;
}

/**
 * A column of a Parquet file. Only one page of it is in memory at a time, whatever the size of the row groups, and no other
 * column.
 *
 * @throws Error if the file is broken.
 */
export async function openParquetColumn(path: string, name: string): Promise<ParquetColumn> {
  const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path));
  const tree = parquetSchema(metadata);
  const names = tree.children.map(({ element }) => element.name);
  const schemaPath = names.includes(name) ? getTreePath(tree, [name]) : undefined;
  return {
    names,
    isFlat: schemaPath && isFlatColumn(schemaPath),
    async *pages(onRead) {
      const chunks = metadata.row_groups.map((group) => ({ group, column: columnOf(group, name) }));
      const bytes = chunks.reduce((sum, { column }) => sum + Number(column.total_compressed_size), 0);
      const { element } = schemaPath!.at(-1)!;
      const file = await open(path);
      try {
        for (const { group, column } of chunks) {
          const decoder = { pathInSchema: [name], element, schemaPath: schemaPath!, ...column, parsers };
          yield* pagesOf(file, column, Number(group.num_rows), decoder, (read) => onRead(read / bytes));
        }
      } finally {
        await file.close();
      }
    },
  };
}

/** The bytes of a column in a row group; undefined if the group lacks it. */
export function columnRange(group: RowGroup, name: string): { start: number; end: number } | undefined {
  const column = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === name)?.meta_data;
  return column && rangeOf(column);
}

function rangeOf(column: ColumnMetaData): { start: number; end: number } {
  const start = Number(column.dictionary_page_offset || column.data_page_offset);
  return { start, end: start + Number(column.total_compressed_size) };
}

function columnOf(group: RowGroup, name: string): ColumnMetaData {
  const chunk = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === name);
  if (!chunk?.meta_data || chunk.file_path)
    throw new Error(`the column "${name}" is not in every row group of the parquet file`);
  return chunk.meta_data;
}

/** The pages of one row group's column, as `readColumn` of hyparquet reads them, which has them in memory together. */
async function* pagesOf(
  file: FileHandle,
  column: ColumnMetaData,
  numRows: number,
  decoder: Decoder,
  onRead: (bytes: number) => void,
): AsyncGenerator<DecodedArray> {
  let { start: position, end } = rangeOf(column);
  let dictionary: DecodedArray | undefined;
  for (let row = 0; row < numRows; ) {
    const { header: packedHeader, length } = await readHeader(file, position, end);
    const packed = await readBytes(file, position + length, sizeOf(packedHeader, end - position - length));
    position += length + packed.length;
    onRead(length + packed.length);
    const { header, page } = unpackPage(packedHeader, packed, column.codec);
    const numValues = (header.data_page_header ?? header.data_page_header_v2)?.num_values ?? 0;
    if (numValues > numRows - row) throw new Error('a page of the parquet file has more values than there are rows');
    checkRuns(header, page, decoder.element.repetition_type === 'OPTIONAL');
    const reader = { view: new DataView(page.buffer, page.byteOffset, page.length), offset: 0 };
    const { data = [] } = readPage(reader, header, { ...decoder, codec: 'UNCOMPRESSED' }, dictionary, undefined, 0);
    if (header.type === 'DICTIONARY_PAGE') {
      dictionary = convert(data, decoder);
      continue;
    }
    row += data.length;
    yield data;
  }
}

async function readHeader(
  file: FileHandle,
  position: number,
  end: number,
): Promise<{ header: PageHeader; length: number }> {
  for (let size = headerBytes; ; size *= 4) {
    const isAll = position + size >= end;
    const reader = {
      view: new DataView((await readBytes(file, position, Math.min(size, end - position))).buffer),
      offset: 0,
    };
    try {
      return { header: parquetHeader(reader), length: reader.offset };
    } catch (error) {
      if (isAll) throw error;
    }
  }
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(Math.max(0, length));
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error('the parquet file ends too early; copy it again');
    done += bytesRead;
  }
  return bytes;
}
