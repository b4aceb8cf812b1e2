import { basename } from 'node:path';
import type { Config } from '../config/index.ts';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import { learningRate, ratioOf } from '../optimizers/index.ts';
import { type Checkpoint, checkpointPath, checkpointsOf, openCheckpoint } from './checkpoint.ts';

/**
 * The checkpoint that `RUN@STEP` names; a run without a step names its newest one, and a path its checkpoint.
 *
 * @throws ConfigError if the run did not save that step.
 * @throws CheckpointError if there is no checkpoint, or it is broken.
 */
export function checkpointAt(name: string, warn: (message: string) => void): Checkpoint {
  const [, run, step] = /^(.+)@(\d+)$/.exec(name) ?? [];
  if (run === undefined || step === undefined) return openCheckpoint(name, warn);
  const path = checkpointPath(run, Number(step));
  const saved = checkpointsOf(run);
  if (saved.length > 0 && !saved.includes(path)) {
    const steps = saved.map((folder) => basename(folder).replace('step-', '')).reverse();
    throw new ConfigError(
      `${name}: the run has no checkpoint of step ${step}; use one of ${steps.join(', ')} (train.saveEvery and train.keepCheckpoints set which ones a run saves and keeps)`,
    );
  }
  return openCheckpoint(path, warn);
}

/**
 * The configuration of a run that continues from a checkpoint of another run, taken at its peak learning rate, and decays the
 * rate from there until `train.steps`. Everything else stays as in that run, except θ, which is that of a run of `train.steps`.
 *
 * @throws CheckpointError for a checkpoint without an optimizer.
 * @throws ConfigError if no step is left, or the learning rate is not at its peak.
 */
export function decayOf(
  { path, config, updates, progress: { step } }: Checkpoint,
  { steps, decayShape, finalLearningRate }: Pick<Config['train'], 'steps' | 'decayShape' | 'finalLearningRate'>,
): Config {
  const { train } = config;
  if (Object.keys(updates).length === 0)
    throw new CheckpointError(
      `${path}: has no optimizer state to continue with; start a new run from its weights (--from)`,
    );
  if (steps <= step) throw new ConfigError(`train.steps: ${steps}, but ${path} has already done ${step}; give more`);
  const warmup = Math.ceil(train.warmupRatio * train.steps);
  const rate = learningRate(train)(step);
  if (step < warmup || rate !== train.peakLearningRate) {
    throw new ConfigError(
      `train.decayFrom: at step ${step} the learning rate of ${path} is ${rate.toPrecision(3)}, not its peak ${train.peakLearningRate}; ` +
        'branch off a run after its warm-up: with --set train.schedule=constant, or with wsd before it decays',
    );
  }
  return {
    ...config,
    train: {
      ...train,
      steps,
      schedule: 'wsd',
      decayShape,
      finalLearningRate,
      decayRatio: ratioOf(steps - step, steps),
      warmupRatio: ratioOf(warmup, steps),
      decayFrom: path,
    },
  };
}
