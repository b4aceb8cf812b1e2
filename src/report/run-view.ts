import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, loadConfig } from '../config/index.ts';
import { drawGates, granularities, knownMethod, type PlannedCost, plannedCost } from '../depth/index.ts';
import { type EvalMetrics, type Gap, type LogLine, logLineOf, metricsOf, RunSums, Tail } from '../runs/index.ts';
import { worksOf } from '../train/work.ts';
import { type Columns, StepSeries } from './series.ts';
import { textName } from './titles.ts';

/** Everything that is shown of a run. In JSON a number that is not finite is null. */
export interface RunView {
  /** A short name for its texts. */
  text: string;
  layers: number;
  columns: Columns;
  /** [points] At the step of each point, which blocks its first micro-batch ran; empty where each sequence has gates of its own. */
  gates: boolean[][];
  evaluations: ShownEvaluation[];
  /** Savings as fractions of the cost of a dense run. `time` is null while there is too little data. */
  saved: { blockFlops: number; stepFlops: number; time: number | null };
  /** Expected savings at the end of the run, if the schedule is known. `time` is extrapolated from the measurements so far. */
  savedAtEnd: { blockFlops: number; stepFlops: number; time: number | null } | null;
  /**
   * FLOP/s of a large matrix product on the run's hardware, summed over its ranks; null if the run did not log it, or was faster: then
   * other programs used the processors while it was measured.
   */
  peakFlops: number | null;
  /** The resolved configuration: `section.key`, value as JSON. */
  config: [key: string, value: string][];
  /** Oldest first. */
  log: LogLine[];
  /** Lines of its files that could not be read. */
  brokenLines: number;
}

/** An evaluation, and the costs up to it. */
export interface ShownEvaluation {
  step: number;
  samples: number;
  tokens: number;
  flops: number;
  seconds: number;
  loss: number | null;
  perplexity: number | null;
  /** Fraction of the predicted tokens that are correct. */
  accuracy: number;
  examples: readonly Gap[];
}

const numLogLines = 1000;
/** Expected savings of a longer run are computed from this many evenly spaced steps. */
const numPlannedSteps = 10_000;
/** About how many evaluations keep their filled texts: at even distances, and the newest. */
const numWithExamples = 20;

/** Reads the files of a run incrementally as they grow, in little memory. */
export class RunReader {
  readonly #folder: string;
  readonly #metrics: Tail;
  readonly #log: Tail;
  #series = new StepSeries();
  #sums = new RunSums();
  #evaluations: ShownEvaluation[] = [];
  #logLines: LogLine[] = [];
  #brokenMetrics = 0;
  #brokenLog = 0;
  #planned: { file: number; config: Config; planned: PlannedCost | null } | undefined;
  #changes = 0;
  #reading: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
    this.#metrics = new Tail(join(folder, 'metrics.jsonl'));
    this.#log = new Tail(join(folder, 'log.jsonl'));
  }

  /** Reads new lines and returns the number of lines read so far. Concurrent calls run one after the other. */
  async read(): Promise<number> {
    const reading = this.#reading.then(() => this.#read());
    this.#reading = reading.catch(() => {});
    await reading;
    return this.#changes;
  }

  async #read(): Promise<void> {
    await this.#metrics.read(
      () => {
        this.#series = new StepSeries();
        this.#sums = new RunSums();
        this.#evaluations = [];
        this.#brokenMetrics = 0;
      },
      (line) => {
        this.#changes += 1;
        if (!this.#addMetrics(line)) this.#brokenMetrics += 1;
      },
    );
    await this.#log.read(
      () => {
        this.#logLines = [];
        this.#brokenLog = 0;
      },
      (text) => {
        this.#changes += 1;
        const line = logLineOf(text);
        if (line) this.#logLines.push(line);
        else this.#brokenLog += 1;
      },
    );
  }

  #addMetrics(text: string): boolean {
    const line = metricsOf(text);
    if (!line) return false;
    this.#sums.add(line);
    if (line.type === 'step') {
      this.#series.add(line);
      return true;
    }
    const { samples, tokens, flops, seconds } = this.#sums.spent;
    this.#evaluations.push({ step: line.step, samples, tokens, flops, seconds, ...shown(line) });
    this.#thinExamples();
    return true;
  }

  #thinExamples(): void {
    const last = this.#evaluations.length - 1;
    let every = 1;
    while (last / every > numWithExamples) every *= 2;
    for (const [i, evaluation] of this.#evaluations.entries())
      if (i % every !== 0 && i !== last) evaluation.examples = [];
  }

  /**
   * The run as read so far.
   *
   * @throws ConfigError if the configuration cannot be read.
   */
  view(): RunView {
    const { config, planned } = this.#plan();
    const columns = this.#series.columns();
    const { blockFlopsSaved, stepFlopsSaved, timeSaved } = this.#sums.summary();
    const start = this.#logLines.findLast((line) => line.type === 'start');
    const on = start && 'environment' in start ? start.environment : undefined;
    const peak = on && on.peakFlops * on.ranks;
    const { flops, seconds } = this.#sums.spent;
    return {
      text: textName(config.data.train),
      layers: config.model.layers,
      columns,
      gates: gatesOf(config, columns),
      evaluations: this.#evaluations,
      saved: { blockFlops: blockFlopsSaved, stepFlops: stepFlopsSaved, time: timeSaved ?? null },
      savedAtEnd: planned && {
        blockFlops: planned.blockFlopsSaved,
        stepFlops: planned.stepFlopsSaved,
        time: this.#sums.timeSavedAt(config.model.layers * (1 - planned.blockFlopsSaved)) ?? null,
      },
      peakFlops: peak !== undefined && flops <= peak * seconds ? peak : null,
      config: Object.entries(config).flatMap(([section, settings]) =>
        Object.entries(settings).map(([key, value]): [string, string] => [`${section}.${key}`, JSON.stringify(value)]),
      ),
      log: this.#logLines.slice(-numLogLines),
      brokenLines: this.#brokenMetrics + this.#brokenLog,
    };
  }

  /** The configuration, read again if a resumed run has rewritten it. */
  #plan() {
    const path = join(this.#folder, 'config.json');
    const file = statSync(path).mtimeMs;
    if (this.#planned?.file !== file) {
      const { config } = loadConfig({ file: path });
      const { depth, model, train } = config;
      const method = knownMethod(depth, model.layers, train.steps);
      const numSteps = Math.min(train.steps, numPlannedSteps);
      const stepOf = (i: number) => Math.floor(((i + 0.5) * train.steps) / numSteps);
      const works = worksOf(config);
      const planned = method
        ? plannedCost(
            (i) => method(stepOf(i)),
            numSteps,
            (i) => works(stepOf(i)),
            {
              microBatchSize: train.microBatchSize,
              granularity: depth.granularity,
            },
          )
        : null;
      this.#planned = { file, config, planned };
    }
    return this.#planned;
  }
}

function shown({ loss, perplexity, mlmAccuracy, clmAccuracy, examples = [] }: EvalMetrics) {
  const whole = Array.isArray(examples) ? examples.filter(({ before }) => before !== undefined) : []; // logs of older versions lack it
  return { loss, perplexity, accuracy: mlmAccuracy ?? clmAccuracy ?? 0, examples: whole };
}

/** The gates of the first micro-batch at each point's step, recomputed: gates are a function of seed, step and block. */
function gatesOf({ depth, train }: Config, { step, keepRates }: { step: number[]; keepRates: (readonly number[])[] }) {
  if (granularities[depth.granularity].isPerSequence) return [];
  const { seed, microBatchSize: sequences } = train;
  return step.map((done, i) =>
    drawGates({
      seed,
      step: done - 1,
      microBatch: 0,
      keepRates: keepRates[i]!,
      granularity: depth.granularity,
      sequences,
    }).map((gate) => gate === true),
  );
}
