import { basename } from 'node:path';
import type { Config } from '../config/index.ts';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import { learningRate, ratioOf } from '../optimizers/index.ts';
import { type Checkpoint, checkpointPath, checkpointsOf, openCheckpoint } from './checkpoint.ts';

/**
 * The checkpoint that `RUN@STEP` names; a run alone names its newest one, and a path its checkpoint.
 *
 * @throws ConfigError where the run did not save that step.
 * @throws CheckpointError where there is no checkpoint, or it is broken.
 */
export function checkpointAt(name: string, warn: (message: string) => void): Checkpoint {
  const [, run, step] = /^(.+)@(\d+)$/.exec(name) ?? [];
  if (run === undefined || step === undefined) return openCheckpoint(name, warn);
  const path = checkpointPath(run, Number(step));
  const saved = checkpointsOf(run);
  if (saved.length > 0 && !saved.includes(path)) {
    const steps = saved.map((folder) => basename(folder).replace('step-', '')).reverse();
    throw new ConfigError(
      `${name}: the run has no checkpoint of step ${step}; take one of ${steps.join(', ')} (train.saveEvery and train.keepCheckpoints say which a run saves and keeps)`,
    );
  }
  return openCheckpoint(path, warn);
}

/**
 * The configuration of a run that goes on from a checkpoint of another one, whose learning rate is at its peak, and decays from there on
 * until `train.steps`. Everything else stays as in that run, except θ, which is that of a run of `train.steps`.
 *
 * @throws CheckpointError for a checkpoint without an optimizer.
 * @throws ConfigError where no step is left, or the learning rate is not at its peak.
 */
export function decayOf(
  { path, config, updates, progress: { step } }: Checkpoint,
  { steps, decayShape, finalLearningRate }: Pick<Config['train'], 'steps' | 'decayShape' | 'finalLearningRate'>,
): Config {
  const { train } = config;
  if (Object.keys(updates).length === 0)
    throw new CheckpointError(`${path}: has no optimizer to go on with; begin a new run with its weights, --from`);
  if (steps <= step) throw new ConfigError(`train.steps: ${steps}, but ${path} has done ${step} already; give more`);
  const warmup = Math.ceil(train.warmupRatio * train.steps);
  const rate = learningRate(train)(step);
  if (step < warmup || rate !== train.peakLearningRate) {
    throw new ConfigError(
      `train.decayFrom: at step ${step} the learning rate of ${path} is ${rate.toPrecision(3)}, on its way to or from its peak ${train.peakLearningRate}; ` +
        'branch off a run with --set train.schedule=constant, or wsd before it decays, after its warm-up',
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
