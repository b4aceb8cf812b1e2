import { mean } from '../averages.ts';
import { ConfigError } from '../errors/index.ts';
import type { EncodedSet } from './encode-task.ts';
import { type Learner, predict } from './learner.ts';
import type { FineTuneSettings } from './settings.ts';
import type { Kind, Scores, Task } from './task.ts';

/**
 * Checks that there is a development set where the settings need one.
 *
 * @throws ConfigError if there is none.
 */
export function checkJudged({ devs }: Task, { metric, patience }: FineTuneSettings): void {
  if (devs.length > 0 || (metric === undefined && patience === undefined)) return;
  throw new ConfigError(
    `--${metric === undefined ? 'patience' : 'metric'}: needs a development set; give one with --dev, or leave out this option`,
  );
}

/**
 * Checks before training, on a few examples, that the score that decides exists.
 *
 * @throws ConfigError if it does not.
 */
export function checkMetric(
  { learner, settings }: { learner: Learner; settings: FineTuneSettings },
  [dev]: readonly EncodedSet[],
): void {
  if (settings.metric === undefined || !dev) return;
  const few = dev.examples.slice(0, settings.microBatchSize);
  judge(learner.kind, settings, learner.kind.scores(predict(learner, few), few));
}

/**
 * The value of the score that decides which epoch is kept, or the mean of all scores.
 *
 * @throws ConfigError if the settings name a score that does not exist.
 */
export function judge(kind: Kind, { metric }: FineTuneSettings, scores: Scores): number {
  const wanted = decisive(kind, metric, scores);
  if (wanted === undefined) return mean(Object.values(scores));
  const found = scores[wanted];
  if (found !== undefined) return found;
  throw new ConfigError(`--metric ${wanted}: is not one of ${Object.keys(scores).join(', ')}`);
}

/** What decides which epoch is kept, in words; null without a development set. */
export function deciding(kind: Kind, { metric }: FineTuneSettings, scores: Scores | undefined): string | null {
  if (scores === undefined) return null;
  return decisive(kind, metric, scores) ?? `the mean of ${Object.keys(scores).join(', ')}`;
}

/** The name of the score that decides; undefined for the mean of all. */
const decisive = ({ judgedBy }: Kind, metric: string | undefined, scores: Scores): string | undefined =>
  metric ?? judgedBy?.find((name) => name in scores);
