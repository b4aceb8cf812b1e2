/**
 * Checkpoints and the folders that hold them: written completely or not at all, and opened only if every checksum matches.
 *
 * @module taper-lm/checkpoints
 */
export { checkpointAt, decayOf } from './branch.ts';
export {
  type Checkpoint,
  type CheckpointContent,
  checkpointPath,
  checkpointsOf,
  type ExampleInput,
  isWhole,
  type LossScale,
  loadOptimizer,
  loadWeights,
  openCheckpoint,
  type Progress,
  saveCheckpoint,
  untrainedProgress,
  writeCheckpoint,
} from './checkpoint.ts';
export { type FolderKind, freeName, holdsRun, isOnnx, kindOf, modelsIn, named } from './folders.ts';
export { checkSameModel, type InitialWeights, weightsFrom } from './initial-weights.ts';
export { newRunCommand } from './new-run.ts';
export { checkResumable, firstDifference, insteadOf } from './resume.ts';
export { areFinite, takeWeights, writeWeights } from './weights.ts';
