/**
 * Optimizers and learning rates, as plain functions.
 *
 * @module taper-lm/optimizers
 */
export {
  decayShapes,
  decayStart,
  type LearningRate,
  type LearningRateSettings,
  learningRate,
  ratioOf,
  type SchedulePlace,
  schedules,
  warmupShapes,
} from './learning-rate.ts';
export type {
  MatrixUpdate,
  NamedOptimizer,
  OptimizerSettings,
  ParameterState,
  StepNumbers,
  Updatable,
  Update,
} from './optimizer.ts';
export { type OptimizerName, optimizers } from './optimizers.ts';
export { initialState, type OptimizerState, slotsOf, slotTensors, updateFlops, zeroState } from './state.ts';
export { globalNorm, type UpdateSettings, updateParameters } from './update.ts';
