import { mean } from '../src/averages.ts';
import { type Config, lastConfig } from '../src/config/index.ts';
import { depthMethod, plannedCost } from '../src/depth/index.ts';
import { measureSteps, type StepTimes, stepSeconds, workOf } from '../src/train/index.ts';

const rounds = 3;

/** What the parts of steps take here, on a machine that should do nothing else: the configurations in turn. */
export function measureInTurn(configs: readonly Config[]): StepTimes[] {
  const found = Array.from({ length: rounds }, () => configs.map((config) => measureSteps(lastConfig(config))));
  return configs.map((_, i) => {
    const of = (part: keyof StepTimes) => mean(found.map((round) => round[i]![part]));
    return { once: of('once'), update: of('update'), microBatch: of('microBatch'), block: of('block') };
  });
}

/** What the steps of a run take, all or the first ones, in seconds, each what its number of blocks takes in the mean over its gates. */
export function secondsOf(config: Config, times: StepTimes, numSteps = config.train.steps): number {
  const last = lastConfig(config);
  const { depth, model } = last;
  const { steps, batchSize, microBatchSize } = last.train;
  const work = workOf(last);
  const draws = { microBatchSize, granularity: depth.granularity };
  const planned = plannedCost(depthMethod(depth, model.layers, steps), numSteps, () => work, draws);
  const step = { depth: planned.meanDepth, updated: planned.meanUpdated, microBatches: batchSize / microBatchSize };
  return numSteps * stepSeconds(times, step);
}
