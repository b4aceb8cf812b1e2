import type { Precision, Tensor } from '../tensor/index.ts';

/** The optimizer state of one parameter. */
export interface ParameterState {
  /** The tensors of its slots, by name; float32 and of the parameter's shape. */
  readonly slots: Readonly<Record<string, Tensor>>;
  /** The number of updates of the parameter: t in the bias correction. Skipped blocks fall behind. */
  updates: number;
}

/** The description of a parameter that an optimizer updates. */
export interface Updatable {
  name: string;
  shape: readonly number[];
  /** Whether weight decay applies to it. */
  decays: boolean;
  /** For a weight of a block: the number of equally sized matrices stacked in it by rows. */
  matrices?: number;
}

/** A parameter that has a gradient. */
export interface Update extends ParameterState {
  parameter: Tensor;
  /** To be multiplied by `gradientScale`. */
  gradient: Tensor;
  /** λ; 0 for parameters without decay, such as biases and norms. */
  weightDecay: number;
}

/** A weight of a block that has a gradient. */
export interface MatrixUpdate extends Update {
  /** The number of equally sized matrices stacked in it by rows. */
  matrices: number;
}

/** The keys of the `train` section that optimizers read. */
export interface OptimizerSettings {
  optimizer: string;
  biasCorrection: boolean;
  /** β₁ and β₂ */
  betas: readonly [number, number];
  /** ε */
  epsilon: number;
  /** β of Muon's matrices. */
  momentum: number;
  /** The size of Muon's steps. */
  muonScale: number;
  precision: Precision;
  weightDecay: number;
}

/** The numbers shared by all updates of a step. */
export interface StepNumbers {
  /** η */
  learningRate: number;
  gradientScale: number;
}

/**
 * A value of `train.optimizer`, with everything specific to it. A new optimizer is a file with such a description and a line
 * in `optimizers`.
 */
export interface NamedOptimizer {
  /** Its name in text. */
  title: string;
  /** What it is for, for the docs. */
  purpose: string;
  /** The names of its state tensors per parameter, initially zeros; a checkpoint stores each as `parameter.slot`. */
  slots: readonly string[];
  /** Element-wise operations per number in an update. */
  operations: number;
  /** Additional float32 tensors of a parameter's size that an update needs. */
  temporaries: number;
  /** Updates float32 parameters and their slots in place; `updates` already counts this update. */
  update(updates: readonly Update[], settings: OptimizerSettings, numbers: StepNumbers): void;
  /** How it treats the weight matrices of blocks, if differently. */
  matrices?: {
    slots: readonly string[];
    /** FLOPs of an update of one matrix. */
    flops(rows: number, columns: number): number;
    update(updates: readonly MatrixUpdate[], settings: OptimizerSettings, numbers: StepNumbers): void;
  };
}
