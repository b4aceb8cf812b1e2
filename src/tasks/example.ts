/** One or two texts, and what is to be found: the number of a label, or a value. Without one it is to be predicted only. */
export interface Example {
  texts: readonly string[];
  target: number | undefined;
}
