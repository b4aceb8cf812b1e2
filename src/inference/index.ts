/**
 * Using a trained model: evaluation, filled masks and generated text.
 *
 * @module taper-lm/inference
 */

export { asWritten, inSentence } from './as-written.ts';
export { heldOutBeginnings } from './beginnings.ts';
export { type Evaluation, evaluate, evaluationNumbers } from './evaluate.ts';
export { type FilledText, fillMasks, type Prediction } from './fill.ts';
export { heldOutGaps } from './gaps.ts';
export { type Generated, type GenerateOptions, generate } from './generate.ts';
export { trainingCommand } from './other-kind.ts';
export type { SamplingOptions } from './sampling.ts';
export type { Drawing } from './sentences.ts';
export { checkPredicts, loadTrained, openTrained, predictsNothing, type TrainedOptions } from './trained.ts';
export type { TrainedModel } from './trained-model.ts';
