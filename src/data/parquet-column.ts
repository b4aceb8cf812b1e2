import { parquetMetadataAsync } from 'hyparquet';
import { openSparse, type Way } from '../hub/index.ts';
import { columnRange } from './parquet.ts';

/** The bytes at the end that are read first: the footer is there. */
const tailBytes = 2 ** 16;
/** A file that is smaller is brought whole. */
const leastBytes = 2 ** 20;
/** A column that takes more of its file is brought with all of it. */
const mostShare = 0.5;

/**
 * Brings what reading a column takes of a Parquet file elsewhere: its footer and the column's pages, into a sparse file of the same size
 * whose name says so. Not where the file is small or mostly that column, nor where the server sends no parts.
 */
export function columnAlone(column: string): Way {
  return {
    pathOf: (path) => path.replace(/\.parquet$/i, `.${encodeURIComponent(column)}-only.parquet`),
    async bring(file, options) {
      if (file.bytes !== undefined && file.bytes < leastBytes) return undefined;
      using sparse = await openSparse(file, tailBytes, options);
      if (sparse === undefined) return undefined;
      const { bytes: byteLength, version } = sparse;
      const slice = (start: number, end = byteLength) => sparse.slice(start, end);
      const metadata = await parquetMetadataAsync({ byteLength, slice }, { initialFetchSize: tailBytes });
      const ranges = metadata.row_groups.flatMap((group) => columnRange(group, column) ?? []);
      const columnBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
      if (byteLength < leastBytes || columnBytes > mostShare * byteLength) {
        sparse.discard();
        return undefined;
      }
      await sparse.bring(ranges);
      sparse.finish();
      return version;
    },
  };
}
