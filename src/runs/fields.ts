import type { Gap } from './gap.ts';

/** How several steps in a row are shown as one: by their mean, by the last of them, or by the sum since the run began. */
export type Over = 'mean' | 'last' | 'sum';

/** The charts that a field's chart is shown with. */
export type ChartGroup = 'depth' | 'optimizer' | 'speed';

/** A chart of one field, over the steps of a run. */
export interface FieldChart {
  title: string;
  group: ChartGroup;
  /** Whether the vertical axis begins at 0. */
  fromZero?: boolean;
  /** Whether the axis may be logarithmic. */
  mayBeLog?: boolean;
}

/** A field of a line of `metrics.jsonl`; `T` is the type of its value, with undefined if it may be absent. */
export interface Field<T = unknown> {
  /** Empty if it has none. */
  unit: string;
  meaning: string;
  /** Its name in TensorBoard; a field without a tag is not written there. */
  tag?: string;
  over?: Over;
  chart?: FieldChart;
  /** Only for the type: never set. */
  type?: T;
}

type More = Omit<Field, 'unit' | 'meaning' | 'type'>;
const number = (unit: string, meaning: string, more: More = {}): Field<number> => ({ unit, meaning, ...more });
const optional = (unit: string, meaning: string, more: More = {}): Field<number | undefined> => ({
  unit,
  meaning,
  ...more,
});
const of = <T>(meaning: string, more: More = {}): Field<T> => ({ unit: '', meaning, ...more });

/** The fields of one optimizer step. Logged values are those that the model used. */
export const stepFields = {
  step: number('', 'optimizer steps done, this one included: 1 for the first', { over: 'last' }),
  samples: number('sequences', 'sequences seen since the start of the run', { over: 'last' }),
  tokens: number('tokens', 'tokens seen since the start of the run, without padding', { over: 'last' }),
  loss: number('nats', '`mlmLoss` + `nspLoss`, or `clmLoss`', { tag: 'train/loss', over: 'mean' }),
  mlmLoss: optional('nats', 'mean over the masked tokens of the step', { tag: 'train/mlmLoss' }),
  clmLoss: optional('nats', 'with `clm` instead: mean over the tokens of the step, all of which are predicted', {
    tag: 'train/clmLoss',
  }),
  nspLoss: optional('nats', 'mean over the sequences of the step; only with `mlm+nsp`', { tag: 'train/nspLoss' }),
  learningRate: number('', 'the learning rate of this step', {
    tag: 'train/learningRate',
    over: 'last',
    chart: { title: 'Learning rate', group: 'optimizer', fromZero: true },
  }),
  gradientNorm: number(
    '',
    'the norm of all gradients together, before clipping; a block that no micro-batch ran has none',
    {
      tag: 'train/gradientNorm',
      over: 'mean',
      chart: { title: 'Gradient norm before clipping', group: 'optimizer', mayBeLog: true },
    },
  ),
  theta: number('', 'θ(t): under PLD the keep rate of the deepest block', {
    tag: 'depth/theta',
    over: 'last',
    chart: { title: 'Keep rate of the schedule, θ', group: 'depth', fromZero: true },
  }),
  keepRates: of<readonly number[]>('the probability that each block ran, from the lowest up', { over: 'last' }),
  depth: number(
    'blocks',
    'the number of blocks that ran, mean over the micro-batches; with one gate per sequence, a block counts as the fraction of the sequences that it ran on',
    { tag: 'depth/run', over: 'mean' },
  ),
  expectedDepth: number('blocks', 'the sum of the keep rates', { tag: 'depth/expected', over: 'mean' }),
  stepSeconds: number('s', 'making a batch, forward, backward and update', { tag: 'speed/stepSeconds', over: 'sum' }),
  dataSeconds: number(
    's',
    'the part of `stepSeconds` spent making the batch of the next step (the first step makes its own as well); a GPU works in the meantime',
    { over: 'sum' },
  ),
  tokensPerSecond: number('tokens/s', 'tokens of this step / `stepSeconds`', { tag: 'speed/tokensPerSecond' }),
  flops: number('FLOPs', 'FLOPs of this step, counting only the blocks that ran', { over: 'sum' }),
  denseFlops: number('FLOPs', 'FLOPs of this step if it were dense', { over: 'sum' }),
  peakMemoryBytes: number(
    'bytes',
    'the peak resident memory of the process; on a GPU, the peak memory of tensors there',
    { tag: 'memory/peakBytes', over: 'last', chart: { title: 'Peak memory', group: 'speed', fromZero: true } },
  ),
  ranks: optional('', 'with [several ranks](distributed.md): how many trained together'),
  bytesSent: optional('bytes', 'with several ranks: what rank 0 sent in this step, calculated from the shapes'),
  waitSeconds: optional('s', 'with several ranks: how long rank 0 waited for others', { over: 'sum' }),
  lossScale: optional('', 'in `fp16`: the factor by which the loss was multiplied before the backward pass'),
  applied: of<false | undefined>(
    '`false` if the loss or the gradient was not finite, so that nothing was changed; absent otherwise',
  ),
};

/** The fields of one evaluation on held-out text: dense, without dropout. */
export const evalFields = {
  step: number('', 'optimizer steps done'),
  split: of<'valid'>('`valid`'),
  loss: number('nats', '`mlmLoss` + the next-sentence loss, or `clmLoss`', { tag: 'valid/loss' }),
  mlmLoss: optional('nats', 'mean over the masked tokens', { tag: 'valid/mlmLoss' }),
  mlmAccuracy: optional('', 'the fraction of the masked tokens that the model ranks first', {
    tag: 'valid/mlmAccuracy',
  }),
  clmLoss: optional('nats', 'with `clm`, instead of `mlmLoss`: mean over the tokens, all of which are predicted', {
    tag: 'valid/clmLoss',
  }),
  clmAccuracy: optional('', 'the fraction of those that the model ranks first', { tag: 'valid/clmAccuracy' }),
  perplexity: number('', '`exp` of the mean loss per predicted token, without the next-sentence loss', {
    tag: 'valid/perplexity',
  }),
  tokens: number('tokens', 'tokens that were predicted'),
  examples: of<readonly Gap[] | undefined>(
    'words removed from held-out sentences, drawn at random, the same in each evaluation: `before`, `right` and `after` make the sentence, `guesses` are the three most likely whole words with their probabilities. A decoder reads only the text before the word',
  ),
};

type TypeOf<F> = F extends Field<infer T> ? T : never;
/** A line with these fields; those that may be undefined may be absent. */
type LineOf<Fields> = {
  [Name in keyof Fields as undefined extends TypeOf<Fields[Name]> ? never : Name]: TypeOf<Fields[Name]>;
} & {
  [Name in keyof Fields as undefined extends TypeOf<Fields[Name]> ? Name : never]?: Exclude<
    TypeOf<Fields[Name]>,
    undefined
  >;
};

/** One optimizer step, as a line of `metrics.jsonl`; `stepFields` describes it. */
export type StepMetrics = { type: 'step' } & LineOf<typeof stepFields>;

/** One evaluation on held-out text, as a line of `metrics.jsonl`; `evalFields` describes it. */
export type EvalMetrics = { type: 'eval' } & LineOf<typeof evalFields>;

/** A line of `metrics.jsonl`. */
export type Metrics = StepMetrics | EvalMetrics;
