/**
 * Optimizers and learning rates, as plain functions.
 *
 * @module taper-lm/optimizers
 */
export {
  type LearningRate,
  type LearningRateSettings,
  learningRate,
  schedules,
  warmupShapes,
} from './learning-rate.ts';
export type { NamedOptimizer, OptimizerSettings, ParameterState, StepNumbers, Update } from './optimizer.ts';
export { type OptimizerName, optimizers } from './optimizers.ts';
export { initialState, type OptimizerState, slotTensors, zeroState } from './state.ts';
export { globalNorm, type Updatable, type UpdateSettings, updateParameters } from './update.ts';
