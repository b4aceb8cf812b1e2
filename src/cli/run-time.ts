import { freeName } from '../checkpoints/folders.ts';
import type { Config } from '../config/index.ts';
import { depthMethod, plannedCost } from '../depth/index.ts';
import { counted } from '../errors/index.ts';
import { startedWith } from '../errors/started-with.ts';
import { numProcessors, watchProcessors } from '../machine/index.ts';
import { duration } from '../report/format.ts';
import type { Spent } from '../runs/index.ts';
import { isTooShort } from '../train/epochs.ts';
import { worksOf } from '../train/work.ts';

/** A run that takes longer gets advice on how to shorten it. */
export const longHours = 4;
/** The length of the run that is advised. */
const shortHours = 2;

/** The command for a shorter run than one of `steps` steps and `hours` hours: `about 2h00m with 1,300 steps: npx taper-lm …`. */
export function shorterRun(steps: number, hours: number, options: readonly string[] = []): string {
  const fewer = Math.max(1, Number(((steps * shortHours) / hours).toPrecision(2)));
  const command = startedWith(['--set', `train.steps=${fewer}`, ...options]);
  return `about ${duration(3600 * shortHours)} with ${counted(fewer, 'step')}: ${command}`;
}

/** The length of a trial of a run, in hours. */
export const trialHours = 1 / 6;

/** How many steps of a run of `hours` hours fit into a trial: `10m00s with 420 steps: --set train.steps=420`. */
export function trialRun({ steps, from }: Pick<Config['train'], 'steps' | 'from'>, hours: number): string {
  const fewer = Math.max(1, Number(((steps * trialHours) / hours).toPrecision(2)));
  const small = '; a smaller model learns more in that time: configs/start.yaml';
  const advice = from === undefined && isTooShort(fewer) ? small : '';
  return `${duration(3600 * trialHours)} with ${counted(fewer, 'step')}: --set train.steps=${fewer}${advice}`;
}

/** The cost of the steps that are left is added up over at most this many of them, evenly spaced. */
const sampledSteps = 500;

/** The expected FLOPs of a run after a step: steps cost more where more blocks run, or larger batches. */
export function flopsLeft(config: Config): (step: number) => number {
  const { depth, model, train } = config;
  const [method, works] = [depthMethod(depth, model.layers, train.steps), worksOf(config)];
  const draws = { microBatchSize: train.microBatchSize, granularity: depth.granularity };
  return (step) => {
    const left = train.steps - step;
    if (left === 0) return 0;
    const sampled = Math.min(left, sampledSteps);
    const at = (i: number) => step + Math.floor((i * left) / sampled);
    const { expectedFlops } = plannedCost(
      (i) => method(at(i)),
      sampled,
      (i) => works(at(i)),
      draws,
    );
    return (expectedFlops * left) / sampled;
  };
}

/** The first steps tell how long a run takes once there are this many, and they took this long. */
export const [timedSteps, timedSeconds] = [3, 10];

/**
 * Tells once, after the first steps of a run, how long the rest takes: the seconds per FLOP of these steps times the expected FLOPs
 * of the rest, and whether other programs made these steps slow. A new run in `out` that is long gets the command for a shorter one.
 */
export function timeEstimate(
  config: Config,
  out: string,
  watch = watchTraining,
): (step: number, spent: Spent) => string | undefined {
  const { train } = config;
  const flopsAfter = flopsLeft(config);
  let isTold = false;
  let slowdown: (() => string | undefined) | undefined;
  return (step, { steps, seconds, flops }) => {
    slowdown ??= watch(config);
    if (isTold || steps < timedSteps || seconds < timedSeconds || step === train.steps) return undefined;
    isTold = true;
    const left = (seconds / flops) * flopsAfter(step);
    const slow = slowdown();
    const rest = `${step === steps ? '' : 'remaining '}${counted(train.steps - step, 'step')}`;
    const estimate = `estimated time: ${duration(left)} for the ${rest}, from the first ${steps}${slow === undefined ? '' : `; ${slow}`}`;
    const hours = (seconds + left) / 3600;
    if (hours < longHours || step !== steps) return estimate;
    const shorter = shorterRun(train.steps, hours, ['--out', freeName(`${out}-short`)]);
    return `${estimate}. For a shorter run, stop this one with CTRL-C and start another: ${shorter}`;
  };
}

/** Watches the processors while a run trains on them; a GPU leaves them idle. */
export function watchTraining({
  train: { device, threads },
}: {
  train: Pick<Config['train'], 'device' | 'threads'>;
}): () => string | undefined {
  return device === 'cpu' ? watchProcessors(threads > 0 ? threads : numProcessors()) : () => undefined;
}
