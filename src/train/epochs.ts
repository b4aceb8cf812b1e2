import type { Config, StepConfig } from '../config/index.ts';
import { phasesOf } from '../config/phases.ts';
import { counted } from '../errors/index.ts';

/** More are usually too many for the text: the model learns it by heart. docs/training.md has the sources. */
const mostEpochs = 100;
/** What is recommended instead; 10 to 40 are usual. */
const usualEpochs = 20;
/** Rounding errors of this relative size do not add a step. */
const rounding = 1e-12;

/** The training samples of each step, as far as epochs depend on them. */
export interface Sequences {
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

/** A warning about a run of too many epochs, and the length that it advises. */
export interface FewerEpochs {
  /** Ends with the advice; a command may follow after a colon. */
  warning: string;
  epochs: number;
  steps: number;
}

/** The warning if a run passes over its text too often. */
export function fewerEpochs(config: Config, texts: Sequences): FewerEpochs | undefined {
  const epochs = epochsOf(config, texts);
  if (epochs <= mostEpochs) return undefined;
  const { steps } = config.train;
  const sequences = counted(texts.train(steps).samples.count, 'sequence');
  const fewer = stepsOf(usualEpochs, config, texts);
  const warning =
    `train.steps: ${counted(steps, 'step')} are ${Math.round(epochs).toLocaleString('en')} epochs over your ${sequences}: too many; ` +
    `10 to 40 are usual. Try ${usualEpochs} epochs (${counted(fewer, 'step')})`;
  return { warning, epochs: usualEpochs, steps: fewer };
}
