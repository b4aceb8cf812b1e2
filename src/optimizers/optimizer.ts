import type { Precision, Tensor } from '../tensor/index.ts';

/** What an optimizer remembers of one parameter. */
export interface ParameterState {
  /** The tensors of its slots, by name; float32 and of the parameter's shape. */
  readonly slots: Readonly<Record<string, Tensor>>;
  /** How often the parameter was updated: t of a bias correction. Blocks that are skipped fall behind. */
  updates: number;
}

/** What is to be known of a parameter that is updated. */
export interface Updatable {
  name: string;
  shape: readonly number[];
  /** Whether weight decay applies to it. */
  decays: boolean;
  /** For a weight of a block: how many matrices of one size, under each other, it is. */
  matrices?: number;
}

/** A parameter that has a gradient. */
export interface Update extends ParameterState {
  parameter: Tensor;
  /** Times `gradientScale` it is what is to be. */
  gradient: Tensor;
  /** λ: 0 where there is no decay, as on biases and norms. */
  weightDecay: number;
}

/** A weight of a block that has a gradient. */
export interface MatrixUpdate extends Update {
  /** How many matrices of one size, under each other, it is. */
  matrices: number;
}

/** What optimizers read of the `train` section. */
export interface OptimizerSettings {
  optimizer: string;
  biasCorrection: boolean;
  /** β₁ and β₂ */
  betas: readonly [number, number];
  /** ε */
  epsilon: number;
  /** β of Muon's matrices. */
  momentum: number;
  /** How large Muon's steps are. */
  muonScale: number;
  precision: Precision;
  weightDecay: number;
}

/** What all updates of a step have in common. */
export interface StepNumbers {
  /** η */
  learningRate: number;
  gradientScale: number;
}

/**
 * An optimizer as `train.optimizer` names it: all that is true of it alone. A new one is a file with such a description and a line
 * in `optimizers`.
 */
export interface NamedOptimizer {
  /** Its name in texts. */
  title: string;
  /** What it is for, for the docs. */
  purpose: string;
  /** What it remembers of a parameter, zeros at first; a checkpoint holds each as `parameter.slot`. */
  slots: readonly string[];
  /** Element-wise operations of an update on one number. */
  operations: number;
  /** float32 tensors of a parameter's size that an update needs besides. */
  temporaries: number;
  /** Updates float32 parameters and their slots in place; `updates` counts this one already. */
  update(updates: readonly Update[], settings: OptimizerSettings, numbers: StepNumbers): void;
  /** What it does with the weights of blocks, which are matrices, where that is something else. */
  matrices?: {
    slots: readonly string[];
    /** FLOPs of an update of one matrix. */
    flops(rows: number, columns: number): number;
    update(updates: readonly MatrixUpdate[], settings: OptimizerSettings, numbers: StepNumbers): void;
  };
}
