import type { Encoded } from '../task.ts';

/** Texts that belong together, or one text alone; how alike two of them are, where that is known. */
export interface PairExample {
  /** A text, one that belongs to it, and one that looks as if it did. */
  texts: readonly string[];
  score?: number;
}

/** Each of its texts as a sequence. */
export interface EncodedPair extends Encoded, PairExample {}
