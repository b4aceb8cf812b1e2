import { type Config, keysThatAffect } from '../config/index.ts';
import { CheckpointError, ConfigError, counted } from '../errors/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { holdsRun } from './folders.ts';
import { type Difference, differences, newRunCommand } from './new-run.ts';

/** Settings that may change when a run is resumed, because they do not change what it computes. Texts are compared by their content. */
const free = keysThatAffect('start', 'time', 'nothing');

/**
 * Compares the configuration of a checkpoint with the one that its run resumes with. A key that the checkpoint's taper did not
 * have counts as its default. `train.steps` may change, with a warning, to a step that is still to come.
 *
 * @throws CheckpointError when the model is of another shape.
 * @throws ConfigError when another setting that the results depend on differs; gives its old and new value, and the command that
 *   starts a new run with it.
 */
export function checkResumable(
  run: string,
  { config: before, progress }: Checkpoint,
  after: Config,
  warn: (message: string) => void,
): void {
  if (after.train.steps < progress.step) {
    throw new ConfigError(
      `train.steps: ${after.train.steps}, but the run has already done ${progress.step}; give more, or ${insteadOf(run, after)}`,
    );
  }
  for (const { key, was, is } of differences(before, after).map(shown)) {
    if (free.has(key)) continue;
    if (key === 'train.steps') {
      warn(
        `train.steps: ${is} instead of ${was}; learning rate and θ continue as in a run of ${counted(Number(is), 'step')}`,
      );
    } else if (key.startsWith('model.')) {
      throw new CheckpointError(`${key}: ${is}, but the checkpoint has ${was}; ${insteadOf(run, after)}`);
    } else {
      throw new ConfigError(
        `${key}: ${is}, but the run was started with ${was}; leave it as it was, or ${insteadOf(run, after)}`,
      );
    }
  }
}

/** What to do if a run cannot resume with a configuration. */
export function insteadOf(run: string, config: Config): string {
  return holdsRun(run)
    ? `start a new run: ${newRunCommand(run, config, run)}`
    : 'start a run from only its weights, with --from instead of --decay-from';
}

/** The first differing setting that the results depend on. */
export function firstDifference(before: Config, after: Config): { key: string; was: string; is: string } | undefined {
  return differences(before, after)
    .map(shown)
    .find(({ key }) => !free.has(key));
}

const shown = ({ key, was = 'absent', is = 'absent' }: Difference) => ({ key, was, is });
