import type { Config, StepConfig } from '../config/index.ts';
import { phasesOf } from '../config/phases.ts';
import { counted } from '../errors/index.ts';

// docs/training.md has the sources and the measurements of these.
/** More are too many: the model learns the text by heart, and the held-out loss rises. */
const mostEpochs = 100;
/** What is advised for a text that is large enough; 10 to 40 are usual. */
const usualEpochs = 20;
/** A new model needs about this many steps to learn more than token frequencies and common neighbours, so a small text needs more epochs. */
export const leastSteps = 2000;
/** Whether a new model has too few steps; a tenth less is as good. */
export const isTooShort = (steps: number) => steps < 0.9 * leastSteps;
/** Rounding errors of this relative size do not add a step. */
const rounding = 1e-12;

/** The training samples of each step, as far as epochs depend on them. */
export interface Sequences {
  /** Those of a step, counted from 0. */
  train(step: number): { samples: { count: number } };
}

/** The epochs that one step is at the batch size and sequence length of a phase. */
const epochsPerStep = (texts: Sequences, first: number, { train }: StepConfig) =>
  train.batchSize / texts.train(first).samples.count;

/** How often a run passes over its training text; one epoch of a mixture is as many sequences as all its texts have. */
export function epochsOf(config: Config, texts: Sequences): number {
  return phasesOf(config).reduce(
    (sum, { first, steps, config }) => sum + steps * epochsPerStep(texts, first, config),
    0,
  );
}

/** The steps of `epochs` passes over the training text, rounded up: `⌈epochs·sequences/batchSize⌉` if no value is a list. */
export function stepsOf(epochs: number, config: Config, texts: Sequences): number {
  let [done, left] = [0, epochs];
  for (const { first, steps, config: own } of phasesOf(config)) {
    const each = epochsPerStep(texts, first, own);
    const taken = Math.min(steps, Math.max(0, Math.ceil((left / each) * (1 - rounding))));
    done += taken;
    left -= taken * each;
  }
  return Math.max(1, done);
}

/** A number of epochs in words, to three digits. */
export const epochsText = (epochs: number) => counted(Number(epochs.toPrecision(3)), 'epoch');

/** The advised epochs: 20, or up to 100 for a small text, so that there are enough steps. */
export function advisedEpochs(config: Config, texts: Sequences): number {
  const train = { ...config.train, steps: leastSteps };
  const needed = 10 * Math.ceil(epochsOf({ ...config, train }, texts) / 10);
  return Math.min(mostEpochs, Math.max(usualEpochs, needed));
}

/** A warning about a run of too many epochs, and the length that it advises. */
interface FewerEpochs {
  /** Ends with the advice; a command may follow after a colon. */
  warning: string;
  epochs: number;
  steps: number;
}

/** The warning if a run passes over its text too often. */
export function fewerEpochs(config: Config, texts: Sequences): FewerEpochs | undefined {
  const { steps } = config.train;
  if (steps <= stepsOf(mostEpochs, config, texts)) return undefined;
  const epochs = epochsOf(config, texts);
  const sequences = counted(texts.train(steps).samples.count, 'sequence');
  const advised = advisedEpochs(config, texts);
  const fewer = stepsOf(advised, config, texts);
  const forSmall = advised > usualEpochs ? `, and up to ${mostEpochs} for a small text` : '';
  const warning =
    `${counted(steps, 'step')} are ${epochsText(epochs)} over your ${sequences}: too many; ` +
    `10 to 40 are usual${forSmall}. Try ${advised} epochs (${counted(fewer, 'step')})`;
  return { warning, epochs: advised, steps: fewer };
}
