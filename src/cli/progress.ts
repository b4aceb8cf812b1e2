import type { Config } from '../config/index.ts';
import type { PrepareProgress } from '../data/index.ts';
import type { Head } from '../model/heads.ts';
import { duration, percent, rounded } from '../report/format.ts';
import {
  addStep,
  type EvalMetrics,
  flopsSaved,
  type Metrics,
  nothingSpent,
  type Reporter,
  type StepMetrics,
} from '../runs/index.ts';
import type { FineTuneReporter } from '../tasks/index.ts';
import { scoreTitle } from '../tasks/score-title.ts';
import { downloadLine } from './download-line.ts';
import { evaluationHead, evaluationLine } from './evaluation-line.ts';
import { newBar, type ProgressStatus } from './progress-line.ts';
import { flopsLeft, timedSeconds, timeEstimate } from './run-time.ts';
import { warn, warningWord } from './terminal.ts';

/** Without a terminal: a line every twentieth of the steps, and at least one every half minute. */
const numLines = 20;
const lineSeconds = 30;
const prepareSeconds = 5;
/** The time left is estimated anew after this time. */
const leftSeconds = 1;
/** Lines are held back for this long at the start, so that an early mistake prints its one line only. */
const heldMs = 2000;
/** The weight of the newest step in the tokens per second shown: the time of a step depends on how many blocks it runs. */
const newestWeight = 0.1;

/** A reporter that writes notes and metrics to standard error; disposing it removes the progress bar. */
export interface TerminalReporter extends Reporter, Disposable {
  metrics(line: Metrics): void;
}

/**
 * Shows the progress of a run on standard error: a bar on a terminal, else plain lines. Notes and warnings are lines of their own,
 * evaluations are lines of a table. With `quiet` it prints warnings only.
 */
export function terminalReporter(config: Config, out: string, { quiet = false } = {}): TerminalReporter {
  const { model, train } = config;
  const { stderr } = process;
  const timeOf = timeEstimate(config, out);
  const flopsAfter = flopsLeft(config);
  const steps = stepProgress(train.steps);
  const isDense = config.depth.method === 'dense';
  let started: number | undefined;
  let left = { seconds: 0, at: Number.NEGATIVE_INFINITY };
  let tokensPerSecond = 0;
  let evaluations = 0;
  const losses = { sum: 0, steps: 0 };
  const spent = nothingSpent();

  let held: string[] | undefined = [];
  const release = () => {
    clearTimeout(timer);
    const lines = held ?? [];
    held = undefined;
    lines.forEach(say);
  };
  const timer = setTimeout(release, heldMs);
  const say = (line: string) => {
    downloads.end();
    if (held) {
      held.push(line);
      return;
    }
    steps.say(line);
  };

  const downloads = downloadLine((line) => say(line));

  const warn = (message: string) => say(`${warningWord()} ${message}`);
  const end = () => {
    clearTimeout(timer);
    downloads.end();
    steps.end();
  };
  if (quiet) return { note: () => {}, warn, metrics: release, [Symbol.dispose]: end };

  const step = (line: StepMetrics) => {
    const { step, loss, theta, depth, stepSeconds } = line;
    if (Number.isFinite(loss)) {
      losses.sum += loss;
      losses.steps += 1;
    }
    addStep(spent, line);
    started ??= now() - stepSeconds;
    const weight = tokensPerSecond === 0 ? 1 : newestWeight;
    tokensPerSecond += weight * (line.tokensPerSecond - tokensPerSecond);
    if (now() - left.at >= leftSeconds || step === train.steps)
      left = { seconds: ((now() - started) / spent.flops) * flopsAfter(step), at: now() };
    const blocks = `${rounded(depth)}/${model.layers} blocks`;
    const speed = `${rounded(tokensPerSecond / 1000)}k tokens/s`;
    const shownDepth = isDense ? [] : [...(theta < 1 ? [`θ ${theta.toFixed(2)}`] : []), blocks];
    const parts = [`loss ${loss.toFixed(2)}`, ...shownDepth, speed];
    steps.show(step, parts, left.seconds);
    const time = timeOf(step, spent);
    if (time !== undefined) say(time);
  };
  const evaluation = ({ step, loss, perplexity, mlmAccuracy, clmAccuracy }: EvalMetrics) => {
    const { columns } = stderr;
    if (evaluations === 0) say(evaluationHead(isDense, columns));
    evaluations += 1;
    const cells = {
      step: String(step),
      loss: loss.toFixed(3),
      perplexity: rounded(perplexity),
      accuracy: percent(mlmAccuracy ?? clmAccuracy ?? 0),
      trainingLoss: losses.steps > 0 ? (losses.sum / losses.steps).toFixed(3) : '–',
      ...(!isDense && { flopsSaved: losses.steps > 0 ? percent(flopsSaved(spent)) : '–' }),
    };
    say(evaluationLine(cells, columns));
    Object.assign(losses, { sum: 0, steps: 0 });
  };
  return {
    note: say,
    warn,
    download: downloads.show,
    prepare: prepareProgress(say),
    metrics: (line) => {
      release();
      if (line.type === 'step') step(line);
      else evaluation(line);
    },
    [Symbol.dispose]: end,
  };
}

/** Prints a line every few seconds on the progress of tokenisation. */
export function prepareProgress(say: (line: string) => void): (progress: PrepareProgress) => void {
  let shown = now();
  return ({ sourceBytes, sourceBytesDone }) => {
    if (now() - shown < prepareSeconds) return;
    shown = now();
    say(`tokenising the text: ${rounded(sourceBytesDone / 1e6)} of ${rounded(sourceBytes / 1e6)} MB`);
  };
}

/** Shows downloads and the tokenisation of texts on standard error, before a run has a reporter. */
export function preparation(): Reporter & Disposable {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const downloads = downloadLine(say);
  const ended = (line: string) => {
    downloads.end();
    say(line);
  };
  return {
    note: ended,
    warn,
    download: downloads.show,
    prepare: prepareProgress(ended),
    [Symbol.dispose]: () => downloads.end(),
  };
}

/**
 * Shows the progress of fine-tuning a model with this head on standard error, and the scores after each epoch. `notes` are printed with
 * the first step, so that an early mistake prints its one line only; `slowdown` tells once whether other programs slow it down.
 */
export function fineTuneProgress(
  what: string,
  head: Head,
  { notes = [], slowdown = () => undefined }: { notes?: readonly string[]; slowdown?: () => string | undefined } = {},
): FineTuneReporter & Disposable {
  let started: number | undefined;
  let steps: StepProgress | undefined;
  let isTold = false;
  return {
    step: (done, total, loss) => {
      started ??= now();
      if (!steps) {
        steps = stepProgress(total);
        for (const note of notes) steps.say(note);
      }
      if (!isTold && now() - started >= timedSeconds) {
        isTold = true;
        const slow = slowdown();
        if (slow !== undefined) steps.say(slow);
      }
      steps.show(done, [`loss ${loss.toFixed(2)}`, what], ((now() - started) / done) * (total - done));
    },
    epoch: (epoch, devs) => {
      const scores = devs.map(({ set, scores }) => {
        const named = Object.entries(scores).map(([name, score]) => `${scoreTitle(name, head)} ${percent(score)}`);
        return `${set} ${named.join(', ')}`;
      });
      steps?.say(`${what}: epoch ${epoch}: ${scores.join('; ')}`);
    },
    [Symbol.dispose]: () => steps?.end(),
  };
}

/** The steps of a training on standard error. */
interface StepProgress {
  /** Shows a finished step with the seconds that are left. */
  show(step: number, parts: readonly string[], left: number): void;
  /** Prints a line above it. */
  say(line: string): void;
  end(): void;
}

/** A bar on a terminal, else a plain line now and then. */
function stepProgress(total: number): StepProgress {
  const { stderr } = process;
  const bar = stderr.isTTY ? newBar() : undefined;
  const showsLine = plainLines(total);
  let latest = { step: 0, status: { parts: [], left: '' } as ProgressStatus };
  return {
    show(step, parts, seconds) {
      const status = { parts, left: duration(seconds) };
      latest = { step, status };
      if (bar?.isActive) bar.update(step, status);
      else if (bar) bar.start(total, step, status);
      else if (showsLine(step)) stderr.write(`step ${step}/${total}  ${parts.join(' ')} ${status.left} left\n`);
    },
    say(line) {
      const wasActive = bar?.isActive;
      if (wasActive) bar?.stop(); // its line is cleared
      stderr.write(`${line}\n`);
      if (wasActive) bar?.start(total, latest.step, latest.status);
    },
    end: () => bar?.stop(),
  };
}

/** Whether a step gets a line of its own. */
function plainLines(steps: number): (step: number) => boolean {
  const every = Math.ceil(steps / numLines);
  let shownAt = now();
  return (step) => {
    const isDue = step % every === 0 || step === steps || now() - shownAt >= lineSeconds;
    if (isDue) shownAt = now();
    return isDue;
  };
}

const now = () => performance.now() / 1000;
