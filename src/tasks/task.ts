import type { TextTokenizer } from '../data/index.ts';
import type { Head, Pass, Transformer } from '../model/index.ts';
import type { Tensor } from '../tensor/index.ts';
import type { Baseline } from './baseline.ts';
import type { FineTuneSettings } from './settings.ts';

// Legend: N sequences, T positions, D model width; M rows of C outputs; the kind decides how many an example has.

/** A sequence that the model reads: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]. */
export interface Sequence {
  ids: Int32Array;
  /** The position of the second text's first token; the length if there is none. */
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

/** The scores of a set. */
export interface SetScores {
  /** The name of the set. */
  set: string;
  scores: Scores;
}

/** The scores of predictions without a model. */
export interface BaselineScores {
  /** As in `always "ham"`. */
  name: string;
  /** For each development set, and each test set whose targets are known. */
  sets: SetScores[];
}

/** More about a set's predictions than their scores: as JSON, and as the rows of a table, header first. */
export interface Details {
  name: string;
  json: unknown;
  rows: string[][];
}

/**
 * How examples of one kind are learned, scored and written. E is an example as it was read, X the same as the model reads it, and
 * P the prediction for it.
 */
export interface Kind<E = unknown, X extends Encoded = Encoded, P = unknown> {
  head: Head;
  /** The first of these that is among the scores decides which epoch is kept; otherwise the mean of the scores does. */
  judgedBy?: readonly string[];
  /**
   * Checks that the training examples can be learned with these settings.
   *
   * @throws ConfigError if they cannot.
   */
  checkSettings?(settings: Pick<FineTuneSettings, 'batchSize' | 'dropout'>, train: readonly E[]): void;
  /** Examples as sequences of at most `maxLength` tokens. */
  encode(examples: readonly E[], tokenizer: TextTokenizer, maxLength: number): Promise<X[]>;
  /** Whether an example has as many tokens as are read of one, so that its rest may be cut. */
  isCut?(example: X, maxLength: number): boolean;
  /** Whether it can read single texts in windows. */
  takesWindows?: boolean;
  /** How many rows of outputs an example has. */
  numOutputs(example: X): number;
  /** The outputs that the loss needs, [M, C] float32, from the final hidden states of the sequences of some examples. */
  outputs(model: Transformer, hidden_NTD: Tensor, examples: readonly X[], pass?: Pass): Tensor;
  /** The mean loss of examples, from all of their outputs [M, C]. */
  loss(outputs_MC: Tensor, examples: readonly X[]): Tensor;
  /** The prediction from an example's own rows of outputs. */
  predict(outputs: Float32Array, example: X): P;
  /** The same kind with settings chosen from predictions on the development set, such as thresholds. */
  settle?(predictions: readonly P[], examples: readonly X[]): Kind<E, X, P>;
  /** Predictions without a model, made from the training set. */
  baselines?(train: readonly E[]): Baseline<E, P>[];
  /** Whether the target of an example is known. */
  hasTarget(example: X): boolean;
  /** The scores of predictions of examples that have a target. */
  scores(predictions: readonly P[], examples: readonly X[]): Scores;
  /** More about predictions of examples that have a target. */
  details?(predictions: readonly P[], examples: readonly X[]): Details;
  /** The predictions for a set as a file: its ending and its text. `read` are the examples as they were read. */
  written(predictions: readonly P[], examples: readonly X[], read: readonly E[]): { ending: string; text: string };
}

/** The parts of a kind that prediction needs. */
export type Predicting<E = unknown, X extends Encoded = Encoded, P = unknown> = Pick<
  Kind<E, X, P>,
  'encode' | 'numOutputs' | 'outputs' | 'predict'
>;

/** A task with its examples. */
export interface Task<E = unknown, X extends Encoded = Encoded, P = unknown> {
  name: string;
  kind: Kind<E, X, P>;
  train: ExampleSet<E>;
  /** Scored after each epoch; the first decides which epoch is kept. Without one, the last epoch is kept. */
  devs: readonly ExampleSet<E>[];
  /** Sets to predict; scored if all of their targets are known. */
  tests: readonly ExampleSet<E>[];
  /** Whether the development set was held out of the training set, because none was given. */
  isHeldOut?: boolean;
}
