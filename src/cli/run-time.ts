import { freeName } from '../checkpoints/folders.ts';
import type { Config } from '../config/index.ts';
import { depthMethod, plannedCost } from '../depth/index.ts';
import { counted } from '../errors/index.ts';
import { startedWith } from '../errors/started-with.ts';
import { numProcessors, watchProcessors } from '../machine/index.ts';
import { duration } from '../report/format.ts';
import type { Spent } from '../runs/index.ts';
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

/** The first steps tell how long a run takes once there are this many, and they took this long. */
const [timedSteps, timedSeconds] = [3, 10];

/**
 * Tells once, after the first steps of a run, how long the rest takes: the seconds per FLOP of these steps times the expected FLOPs
 * of the rest, and whether other programs made these steps slow. A new run in `out` that is long gets the command for a shorter one.
 */
export function timeEstimate(
  config: Config,
  out: string,
  watch = watchTraining,
): (step: number, spent: Spent) => string | undefined {
  const { depth, model, train } = config;
  let isTold = false;
  let slowdown: (() => string | undefined) | undefined;
  return (step, { steps, seconds, flops }) => {
    slowdown ??= watch(config);
    if (isTold || steps < timedSteps || seconds < timedSeconds || step === train.steps) return undefined;
    isTold = true;
    const [method, works] = [depthMethod(depth, model.layers, train.steps), worksOf(config)];
    const { microBatchSize } = train;
    const { expectedFlops } = plannedCost(
      (later) => method(step + later),
      train.steps - step,
      (later) => works(step + later),
      { microBatchSize, granularity: depth.granularity },
    );
    const left = (seconds / flops) * expectedFlops;
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
export function watchTraining({ train: { device, threads } }: Config): () => string | undefined {
  return device === 'cpu' ? watchProcessors(threads > 0 ? threads : numProcessors()) : () => undefined;
}
