/** A word that was removed from a sentence, and what a model would put there: `before right after` is the sentence. */
export interface Gap {
  /** The sentence before and after the word, with its spaces. */
  before: string;
  after: string;
  right: string;
  /** The most likely whole words, most likely first, with their probabilities among all tokens. */
  guesses: { text: string; probability: number }[];
}

/** Whether a word is the removed one; tokenizers may lose its capitals. */
export const isRight = ({ right }: Gap, word: string | undefined): boolean =>
  word?.toLowerCase() === right.toLowerCase();

/** The sentence of a gap, and where the gap is, as a key. */
export const sentenceKey = ({ before, right, after }: Gap): string => JSON.stringify([before, right, after]);
