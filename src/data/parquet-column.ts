import { type FileMetaData, parquetMetadata } from 'hyparquet';
import { openSparse, type SparseFile, type Way } from '../hub/index.ts';
import { columnRange } from './parquet.ts';

/** Bytes read first, from the end of the file: the footer is there. */
const tailBytes = 2 ** 16;
/** A smaller file is downloaded whole. */
const leastBytes = 2 ** 20;
/** If a column takes more than this share of its file, the whole file is downloaded. */
const mostShare = 0.5;

/**
 * Downloads only what reading one column of a remote Parquet file needs: the footer and the column's pages, into a sparse file of
 * the same size whose name says so. The whole file is downloaded if it is small, mostly that column or broken, or if the server
 * sends no parts.
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

/** The contents of the footer; undefined if it is broken, so that the whole file is downloaded and then refused as a local one would be. */
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
