import type { DownloadProgress, PrepareProgress } from '../data/index.ts';

/** Receives the messages of a run; its metrics go to sinks. */
export interface Reporter {
  /** Something that was decided or done; reported once. */
  note(message: string): void;
  /** Something that is allowed but probably not meant. */
  warn(message: string): void;
  /** Progress of a download. */
  download?(progress: DownloadProgress): void;
  /** Progress of preparing the texts. */
  prepare?(progress: PrepareProgress): void;
}

/** Receives messages and does nothing with them. */
export const silent: Reporter = { note: () => {}, warn: () => {} };
