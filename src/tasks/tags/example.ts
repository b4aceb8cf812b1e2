import type { Encoded } from '../task.ts';

/** The words of a sentence, and the number of each one's tag; without tags it is to be predicted only. */
export interface Sentence {
  words: readonly string[];
  tags?: readonly number[];
  /** How its file holds it, and so how it is written: CoNLL columns, lists of tokens, or a text with spans. */
  form: 'columns' | 'lists' | 'spans';
  /** Of a text that came with spans: the text, and where its words are, as [start, end) in characters. */
  text?: string;
  places?: readonly (readonly [number, number])[];
}

/** A sentence as windows over its words. */
export interface EncodedSentence extends Encoded, Sentence {
  /** For each word the window that it is read in and the position of its first token there; undefined for one of no tokens. */
  reads: readonly ({ window: number; position: number } | undefined)[];
}
