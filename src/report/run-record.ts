import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoints/index.ts';
import { type Config, loadConfig } from '../config/index.ts';
import { ConfigError, counted, DataError } from '../errors/index.ts';
import { isBeingTrained } from '../files/index.ts';
import { addStep, nothingSpent, readMetrics, type Spent, type StepMetrics } from '../runs/index.ts';

/** One evaluation of a run, and the costs up to it. */
export interface EvaluationPoint extends Pick<Spent, 'samples' | 'flops' | 'seconds' | 'depthSum'> {
  step: number;
  /** Held-out loss in nats. */
  loss: number;
}

/** The part of a run that a comparison needs. */
export interface RunRecord {
  name: string;
  config: Config;
  /** SHA-256 of the tokenised texts and of the tokenizer. */
  textHash: string;
  tokenizerHash: string;
  /** In the order of their steps. */
  evaluations: EvaluationPoint[];
}

/**
 * Reads the record of a run folder; `warn` is called if the run is unfinished.
 *
 * @throws DataError if the folder is not a run, has fewer than two evaluations, has evaluations over different tokens, or has
 *   a loss that is not a number.
 * @throws ConfigError if its configuration is broken.
 * @throws CheckpointError if its checkpoint is broken.
 */
export function readRun(run: string, warn: (message: string) => void): RunRecord {
  const metricsFile = join(run, 'metrics.jsonl');
  if (!existsSync(join(run, 'config.json')) || !existsSync(metricsFile)) {
    throw new DataError(
      `${run}: config.json or metrics.jsonl is missing; give a run folder, the --out of npx taper-lm pretrain`,
    );
  }
  const config = configOf(run);
  const metrics = readMetrics(metricsFile);
  const evaluations: EvaluationPoint[] = [];
  const spent = nothingSpent();
  let lastStep = 0;
  let evaluated: number | undefined;
  for (const line of metrics) {
    if (line.type === 'step') {
      if (spent.steps === 0 && line.step > 1) {
        throw new DataError(
          `${run}: its metrics begin at step ${line.step}, so what was spent before is unknown; compare whole runs, not branches (--decay-from)`,
        );
      }
      checkStep(run, line);
      lastStep = line.step;
      addStep(spent, line);
    } else {
      if (!Number.isFinite(line.loss)) {
        throw new DataError(
          `${run}: the held-out loss at step ${line.step} is not a number: training diverged; leave this run out`,
        );
      }
      evaluated ??= line.tokens;
      if (line.tokens !== evaluated) {
        throw new DataError(
          `${run}: the first evaluation is over ${counted(evaluated, 'token')}, the one at step ${line.step} over ${line.tokens}; ` +
            'train.evalSamples was changed during the run: leave this run out',
        );
      }
      const { samples, flops, seconds, depthSum } = spent;
      evaluations.push({ step: line.step, samples, flops, seconds, depthSum, loss: line.loss });
    }
  }
  const isTraining = isBeingTrained(run);
  if (evaluations.length < 2) {
    const advice = isTraining
      ? 'it is still training: wait for the next evaluation'
      : 'train longer, or with a smaller train.evalEvery';
    throw new DataError(
      `${run}: has ${counted(evaluations.length, 'evaluation')} on held-out text, but a comparison needs 2; ${advice}`,
    );
  }
  if (lastStep < config.train.steps) {
    const state = isTraining ? 'is still training,' : 'was stopped';
    warn(`${run}: ${state} at step ${lastStep} of ${config.train.steps}; it is compared up to there`);
  }
  const { progress, tokenizerJson } = openCheckpoint(run, warn);
  const tokenizerHash = createHash('sha256').update(tokenizerJson).digest('hex');
  return { name: run, config, textHash: progress.textHash, tokenizerHash, evaluations };
}

function configOf(run: string): Config {
  const file = join(run, 'config.json');
  try {
    return loadConfig({ file }).config;
  } catch (cause) {
    if (!(cause instanceof ConfigError) || cause.message.startsWith(file)) throw cause;
    throw new ConfigError(`${file}: ${cause.message}`, { cause });
  }
}

function checkStep(run: string, line: StepMetrics): void {
  for (const key of ['samples', 'flops', 'stepSeconds', 'depth'] as const) {
    if (Number.isFinite(line[key])) continue;
    throw new DataError(`${run}: metrics.jsonl has no number for ${key} at step ${line.step}; leave this run out`);
  }
}
