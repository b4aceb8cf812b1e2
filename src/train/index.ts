/**
 * Training: `pretrain`, one optimizer step, and the memory, FLOPs and time of a step.
 *
 * @module taper-lm/train
 */
export { prepareDevice } from './device.ts';
export { NonFiniteError } from './divergence.ts';
export { epochsOf, type Sequences } from './epochs.ts';
export { loadConfigForTexts, type TextOptions } from './load-for-texts.ts';
export { estimateMemory, fittingMicroBatch, type MemoryEstimate } from './memory.ts';
export { peakFlops } from './peak.ts';
export { InterruptedError, type PretrainOptions, type PretrainResult, pretrain } from './pretrain.ts';
export type { RunOptions } from './run.ts';
export { type TrainingState, trainingState } from './state.ts';
export { type BegunStep, beginStep, dropoutSeeds, type StepOptions, type StepResult, trainStep } from './step.ts';
export { type MaskedSamples, openTexts, type Texts } from './texts.ts';
export { type BatchShape, measureSteps, randomBatch, type StepTimes, stepSeconds, timeMicroBatches } from './timing.ts';
export { openTokenizer, trainTokenizer } from './tokenizers.ts';
export { unknownText, vocabularyAdvice, warnOfUnknown } from './unknown.ts';
export { workOf } from './work.ts';
