import type { ColumnMetaData, PageHeader } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

type Codec = NonNullable<(typeof compressors)[keyof typeof compressors]>;

/** hyparquet's codec for LZ4 fails if there is nothing to unpack: the dictionary of a row group in which every text is null. */
const codecs: typeof compressors = {
  ...compressors,
  LZ4: unlessEmpty(compressors.LZ4!),
  LZ4_RAW: unlessEmpty(compressors.LZ4_RAW!),
};

function unlessEmpty(unpack: Codec): Codec {
  return (input, length) => (length === 0 ? new Uint8Array(0) : unpack(input, length));
}

/**
 * The packed size of a larger page must be at least 1/1,032 of its size, the limit of deflate: a broken size would ask for
 * unlimited memory.
 */
const [largePage, mostPacked] = [2 ** 29, 1032];

const broken = (what: string) => new Error(`a page of the parquet file ${what}; copy the file again`);

/**
 * The size of a page in the file.
 *
 * @throws Error if it, or its unpacked size, is impossible.
 */
export function sizeOf(header: PageHeader, left: number): number {
  const { compressed_page_size: bytes, uncompressed_page_size: unpacked, data_page_header_v2: v2 } = header;
  const levels = v2 ? levelBytes(v2) : 0;
  const isPossible = bytes >= 0 && unpacked >= 0 && bytes <= left && levels >= 0 && levels <= Math.min(bytes, unpacked);
  if (!isPossible || (unpacked > largePage && unpacked > mostPacked * bytes)) throw broken('has an impossible size');
  return bytes;
}

type HeaderV2 = NonNullable<PageHeader['data_page_header_v2']>;
const levelBytes = (v2: HeaderV2) => v2.repetition_levels_byte_length + v2.definition_levels_byte_length;

/** A page without compression, and its header as if it had been written so. */
export function unpackPage(header: PageHeader, packed: Uint8Array, codec: ColumnMetaData['codec']) {
  const { uncompressed_page_size: size, data_page_header_v2: v2 } = header;
  if (codec === 'UNCOMPRESSED' || v2?.is_compressed === false) return { header, page: packed };
  const unpack = codecs[codec];
  if (!unpack)
    throw new Error(`the parquet file is compressed with ${codec}, which taper does not support; write it with zstd`);
  const levels = v2 ? levelBytes(v2) : 0;
  const data = unpack(packed.subarray(levels), size - levels);
  if (data.length !== size - levels) throw broken('does not unpack to the size in its header');
  const page = levels === 0 ? data : new Uint8Array(Buffer.concat([packed.subarray(0, levels), data]));
  const plain = {
    ...header,
    compressed_page_size: size,
    ...(v2 && { data_page_header_v2: { ...v2, is_compressed: false } }),
  };
  return { header: plain, page };
}

/**
 * Checks the runs of a flat column's page: its levels, which are 1 for a value, and the indices into its dictionary.
 * Source: apache/parquet-format, Encodings.md, "RLE / Bit-Packing Hybrid".
 *
 * @throws Error if their number differs from the header: hyparquet trusts the counts of the runs, up to 2³¹ values.
 */
export function checkRuns(header: PageHeader, page: Uint8Array, isNullable: boolean): void {
  const { data_page_header: v1, data_page_header_v2: v2 } = header;
  const data = v1 ?? v2;
  if (!data) return;
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const start = v2 ? v2.repetition_levels_byte_length : 4;
  const levelsEnd = v2 ? levelBytes(v2) : isNullable ? start + view.getUint32(0, true) : 0;
  const values = isNullable
    ? countOnes(view, { at: start, end: levelsEnd, width: 1, count: data.num_values })
    : data.num_values;
  if (v2 && values !== v2.num_values - v2.num_nulls)
    throw broken('has a different number of nulls than its header says');
  if (data.encoding !== 'PLAIN_DICTIONARY' && data.encoding !== 'RLE_DICTIONARY') return;
  const width = view.getUint8(levelsEnd);
  if (width > 0 || v2) countOnes(view, { at: levelsEnd + 1, end: page.length, width, count: values });
}

/** Checks runs of `count` values of `width` bits, and counts the values that are 1 if the width is. */
function countOnes(
  view: DataView,
  { at, end, width, count }: { at: number; end: number; width: number; count: number },
) {
  let [seen, ones] = [0, 0];
  while (seen < count) {
    let run = 0;
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
      if (at >= end) throw broken('ends within its runs');
      byte = view.getUint8(at++);
      run += (byte & 0x7f) * 2 ** shift;
    }
    const isPacked = run % 2 === 1; // in groups of eight; the last may be padded
    const length = Math.floor(run / 2) * (isPacked ? 8 : 1);
    const bytes = isPacked ? (length / 8) * width : Math.ceil(width / 8);
    // The bytes of packed values show how many there is room for, if they have any.
    const isTooLong = isPacked ? width === 0 && length > count - seen + 7 : length > count - seen;
    if (isTooLong || at + bytes > end) throw broken('has runs of more values than its header says');
    for (let i = 0; width === 1 && i < Math.min(length, count - seen); i++) {
      ones += isPacked ? (view.getUint8(at + (i >> 3)) >> (i & 7)) & 1 : Number(view.getUint8(at) === 1);
    }
    at += bytes;
    seen += length;
  }
  return ones;
}
