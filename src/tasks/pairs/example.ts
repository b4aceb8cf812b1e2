import type { Encoded } from '../task.ts';

/** Texts that belong together, or a single text; the similarity score of two texts, if known. */
export interface PairExample {
  /** An anchor, a positive and a hard negative. */
  texts: readonly string[];
  score?: number;
}

/** Each of its texts as a sequence. */
export interface EncodedPair extends Encoded, PairExample {}
