import type { DownloadProgress, PrepareProgress } from '../data/index.ts';

/** Who hears what a run says of itself in words; its numbers go to sinks. */
export interface Reporter {
  /** Something that was decided or done, once. */
  note(message: string): void;
  /** Something that is allowed but probably not meant. */
  warn(message: string): void;
  /** Progress of a download. */
  download?(progress: DownloadProgress): void;
  /** How far the texts are prepared. */
  prepare?(progress: PrepareProgress): void;
}
