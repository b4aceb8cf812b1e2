import type { Tensor } from '../tensor/index.ts';

/** What an optimizer remembers of one parameter. */
export interface ParameterState {
  /** The tensors of its slots, by name; float32 and of the parameter's shape. */
  readonly slots: Readonly<Record<string, Tensor>>;
  /** How often the parameter was updated: t of a bias correction. Blocks that are skipped fall behind. */
  updates: number;
}

/** A parameter that has a gradient. */
export interface Update extends ParameterState {
  parameter: Tensor;
  /** Times `gradientScale` it is what is to be. */
  gradient: Tensor;
  /** λ: 0 where there is no decay, as on biases and norms. */
  weightDecay: number;
}

/** What optimizers read of the `train` section. */
export interface OptimizerSettings {
  optimizer: string;
  biasCorrection: boolean;
  /** β₁ and β₂ */
  betas: readonly [number, number];
  /** ε */
  epsilon: number;
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
}
