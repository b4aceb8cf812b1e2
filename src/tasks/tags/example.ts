import type { Encoded } from '../task.ts';

/** The words of a sentence and the index of each word's tag; without tags it is only predicted. */
export interface Sentence {
  words: readonly string[];
  tags?: readonly number[];
  /** The format of its file, and of its predictions: CoNLL columns, lists of tokens, or a text with spans. */
  form: 'columns' | 'lists' | 'spans';
  /** For a text with spans: the text, and the places of its words, as [start, end) in characters. */
  text?: string;
  places?: readonly (readonly [number, number])[];
}

/** A sentence as windows over its words. */
export interface EncodedSentence extends Encoded, Sentence {
  /** For each word, the window that it is read in and the position of its first token there; undefined for a word without tokens. */
  reads: readonly ({ window: number; position: number } | undefined)[];
}
