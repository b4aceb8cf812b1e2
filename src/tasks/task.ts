import type { TextTokenizer } from '../data/index.ts';
import type { Head, Pass, Transformer } from '../model/index.ts';
import type { Tensor } from '../tensor/index.ts';

// Legend: N sequences, T positions, D model width; M rows of C outputs, as many for each example as its kind says.

/** A sequence that the model reads: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]. */
export interface Sequence {
  ids: Int32Array;
  /** The position of the second text's first token; the length where there is none. */
  secondStart: number;
}

/** An example as the model reads it. */
export interface Encoded {
  sequences: readonly Sequence[];
}

/** A set of examples, such as the development set of a task. */
export interface ExampleSet<E = unknown> {
  name: string;
  examples: readonly E[];
}

/** Scores by their names; more is better. */
export type Scores = Readonly<Record<string, number>>;

/** What is known of a set's predictions beyond their scores: for JSON, and as the rows of a table, its head first. */
export interface Details {
  name: string;
  json: unknown;
  rows: string[][];
}

/**
 * How examples of one kind are learned, scored and written. E is an example as it was read, X the same as the model reads it, and P
 * what is predicted of it.
 */
export interface Kind<E = unknown, X extends Encoded = Encoded, P = unknown> {
  head: Head;
  /** The first of these that is among the scores is what a model is judged by; else their mean is. */
  judgedBy?: readonly string[];
  /** Examples as sequences of at most `maxLength` tokens. */
  encode(examples: readonly E[], tokenizer: TextTokenizer, maxLength: number): Promise<X[]>;
  /** How many rows of outputs an example has. */
  numOutputs(example: X): number;
  /** What the loss reads, [M, C] float32, of the final hidden states of the sequences of some examples. */
  outputs(model: Transformer, hidden_NTD: Tensor, examples: readonly X[], pass?: Pass): Tensor;
  /** The mean loss of examples, of all of their outputs [M, C]. */
  loss(outputs_MC: Tensor, examples: readonly X[]): Tensor;
  /** What an example's own rows of outputs predict. */
  predict(outputs: Float32Array, example: X): P;
  /** The same with what is chosen by its predictions on the development set, such as thresholds. */
  settle?(predictions: readonly P[], examples: readonly X[]): Kind<E, X, P>;
  /** Whether it is known what is to be predicted of an example. */
  hasTarget(example: X): boolean;
  /** The scores of predictions of examples that have a target. */
  scores(predictions: readonly P[], examples: readonly X[]): Scores;
  /** What more there is to say of predictions of examples that have a target. */
  details?(predictions: readonly P[], examples: readonly X[]): Details;
  /** The predictions for a set as a file: its ending and its text. */
  written(predictions: readonly P[], examples: readonly X[]): { ending: string; text: string };
}

/** What of a kind predictions need. */
export type Predicting<E = unknown, X extends Encoded = Encoded, P = unknown> = Pick<
  Kind<E, X, P>,
  'encode' | 'numOutputs' | 'outputs' | 'predict'
>;

/** A task with its examples. */
export interface Task<E = unknown, X extends Encoded = Encoded, P = unknown> {
  name: string;
  kind: Kind<E, X, P>;
  train: ExampleSet<E>;
  /** What it is judged by; the first decides. Without one the last epoch is taken. */
  devs: readonly ExampleSet<E>[];
  /** To be predicted; scored where all of their targets are known. */
  tests: readonly ExampleSet<E>[];
  /** Whether the development set is a part of the training set, which had none beside it. */
  isHeldOut?: boolean;
}
