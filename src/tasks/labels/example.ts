import type { Encoded } from '../task.ts';

/** One or two texts, and what is to be found: the number of a label, or a value. Without one it is to be predicted only. */
export interface TextExample {
  texts: readonly string[];
  target: number | undefined;
}

/** The same as one sequence. */
export interface EncodedTexts extends Encoded {
  target: number | undefined;
}
