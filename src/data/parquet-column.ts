import { type FileMetaData, parquetMetadata } from 'hyparquet';
import { openSparse, type SparseFile, type Way } from '../hub/index.ts';
import { columnRange } from './parquet.ts';

/** The bytes at the end that are read first: the footer is there. */
const tailBytes = 2 ** 16;
/** A file that is smaller is downloaded whole. */
const leastBytes = 2 ** 20;
/** A column that takes more of its file is downloaded with all of it. */
const mostShare = 0.5;

/**
 * Downloads what reading a column takes of a Parquet file elsewhere: its footer and the column's pages, into a sparse file of the same size
 * whose name says so. Not where the file is small or mostly that column, nor where it is broken or the server sends no parts.
 */
export function columnAlone(column: string): Way {
  return {
    pathOf: (path) => path.replace(/\.parquet$/i, `.${encodeURIComponent(column)}-only.parquet`),
    async download(file, options) {
      if (file.bytes !== undefined && file.bytes < leastBytes) return undefined;
      using sparse = await openSparse(file, tailBytes, options);
      if (sparse === undefined) return undefined;
      const { bytes, version } = sparse;
      const metadata = bytes < leastBytes ? undefined : await metadataOf(sparse);
      const ranges = metadata?.row_groups.flatMap((group) => columnRange(group, column) ?? []) ?? [];
      const columnBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
      if (metadata === undefined || columnBytes > mostShare * bytes) {
        sparse.discard();
        return undefined;
      }
      await sparse.download(ranges);
      sparse.finish();
      return version;
    },
  };
}

/** What the footer says; undefined where it is broken, so that the whole file comes and is refused as one on the disk is. */
async function metadataOf({ bytes, slice }: SparseFile): Promise<FileMetaData | undefined> {
  const length = new DataView(await slice(bytes - 8, bytes)).getUint32(0, true);
  if (length > bytes - 8) return undefined;
  const footer = await slice(bytes - 8 - length, bytes);
  try {
    return parquetMetadata(footer);
  } catch {
    return undefined;
  }
}
