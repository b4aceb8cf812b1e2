import { join } from 'node:path';
import { checkpointsOf, isWhole, newRunCommand } from '../checkpoints/index.ts';
import { UserError } from '../errors/index.ts';
import { readMetrics } from '../runs/index.ts';
import type { Run } from './run.ts';

/** A run ends after this many steps in a row without a finite loss and gradient. */
const maxNonFiniteSteps = 5;
/** The highest learning rate recommended after a divergence. */
const safeLearningRate = 1e-3;

/**
 * Training diverged: a loss, the gradients of several steps in a row, weights or moments were not finite. Training stopped
 * without saving them.
 */
export class NonFiniteError extends UserError {}

/** Ends a run if its last steps had no finite loss or gradient. */
export function checkSteps(run: Run): void {
  const { step, nonFiniteSteps } = run.progress;
  if (nonFiniteSteps < maxNonFiniteSteps) return;
  throw diverged(
    run,
    `the loss or the gradient was not finite for ${nonFiniteSteps} steps in a row, up to step ${step}`,
  );
}

/** Rank 0, which knows the run's folder, recommends a new run from the last good checkpoint. */
export function diverged({ config, out, progress, group }: Run, what: string): NonFiniteError {
  const { peakLearningRate, from, precision } = config.train;
  const message = `training diverged: ${what}; no checkpoint of this state was saved`;
  if (group.rank !== 0) return new NonFiniteError(message);
  if (progress.step === 0) {
    const advice =
      from === undefined ? 'lower model.embeddingStd' : `${from} has itself diverged: use another checkpoint`;
    return new NonFiniteError(`${message}; ${advice}`);
  }
  const good = lastGoodCheckpoint(out);
  const lower = Number(Math.min(peakLearningRate / 10, safeLearningRate).toPrecision(2));
  const command = newRunCommand(out, { ...config, train: { ...config.train, peakLearningRate: lower } }, good);
  const where = good === undefined ? 'start a new run' : `start a new run from ${good}`;
  const precise = precision === 'fp32' ? '' : ', or with train.precision=fp32';
  return new NonFiniteError(`${message}; ${where} with a lower learning rate${precise}: ${command}`);
}

/** The newest checkpoint that a step was taken from, with a loss in that step not above the run's first. */
function lastGoodCheckpoint(out: string): string | undefined {
  const steps = readMetrics(join(out, 'metrics.jsonl')).filter((metrics) => metrics.type === 'step');
  const losses = new Map(steps.map(({ step, loss, applied = true }) => [step - 1, applied ? loss : Infinity]));
  const lossOf = (path: string) => losses.get(Number(path.split('-').at(-1))) ?? Infinity;
  const first = lossOf(`step-${(steps[0]?.step ?? 1) - 1}`); // in a branch this is not step 0
  return checkpointsOf(out).find((path) => lossOf(path) <= first && isWhole(path));
}
