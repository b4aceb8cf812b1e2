import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  type Checkpoint,
  checkpointsOf,
  checkResumable,
  checkSameModel,
  decayOf,
  firstDifference,
  freeName,
  holdsRun,
  insteadOf,
  kindOf,
  loadOptimizer,
  loadWeights,
  openCheckpoint,
  type Progress,
  weightsFrom,
} from '../checkpoints/index.ts';
import { type Config, trainPaths } from '../config/index.ts';
import { type Documents, type Samples, TextTokenizer } from '../data/index.ts';
import { pinNames } from '../data/remote.ts';
import { checkedMethod, type DepthMethod, type StepWork, withShared } from '../depth/index.ts';
import { alone, type ProcessGroup } from '../distributed/index.ts';
import { ConfigError, counted, DataError, OutputError } from '../errors/index.ts';
import { startedWith } from '../errors/started-with.ts';
import { lockRun, makeFolder, replaceFile, writing } from '../files/index.ts';
import { familyOf, initialiseParameters, makeIdentity, type ParameterSpec, type Weights } from '../model/index.ts';
import { type OptimizerState, slotTensors } from '../optimizers/index.ts';
import { type Gap, jsonl, type OpenSink, openSink, type Reporter, type Sink, tensorBoard } from '../runs/index.ts';
import { Tensor } from '../tensor/index.ts';
import { fewerEpochs } from './epochs.ts';
import { initialLossScale } from './loss-scale.ts';
import { NormWatch } from './norm-watch.ts';
import { logFrequencies } from './output-bias.ts';
import { distribute } from './shards.ts';
import { layoutOf, type TrainingState, trainingState } from './state.ts';
import { openTexts, type Texts } from './texts.ts';
import { openTokenizer } from './tokenizers.ts';
import { checkKnown } from './unknown.ts';
import { worksOf } from './work.ts';

/** A run while it trains. */
export interface Run extends Disposable {
  readonly config: Config;
  readonly out: string;
  readonly texts: Texts;
  readonly state: TrainingState;
  /** The mean work of each of its steps. */
  readonly work: (step: number) => StepWork;
  readonly group: ProcessGroup;
  readonly report: Reporter;
  /** Where its metrics go; only on rank 0. */
  readonly sinks: readonly OpenSink[];
  progress: Progress;
  /** Its newest checkpoint; empty before there is one. */
  saved: string;
  readonly norms: NormWatch;
  /** The held-out sentences of its evaluations as written, once they are found, by `sentenceKey` as they are drawn. */
  sentences?: ReadonlyMap<string, Gap>;
}

/** The folder of a run, and what a program passes to it instead of the configured parts. */
export interface RunOptions {
  /** The folder of the run; only rank 0 reads and writes it. */
  out: string;
  /** Resume from the newest checkpoint in `out`. */
  resume?: boolean;
  /** A depth method instead of the configuration's: a pure function of the step, the same each time the run is resumed. */
  depth?: DepthMethod | undefined;
  /** What to train on instead of `data.train`. */
  samples?: Documents | undefined;
  /** Where rank 0 writes the metrics. Default: `metrics.jsonl` and TensorBoard's files in the folder of the run. */
  sinks?: readonly Sink[];
}

/** What rank 0 finds and the others need to know. */
export interface Start {
  tokenizerJson: string;
  config: Config;
  /** The names of texts, each with the pinned name that always means the same text. */
  pins: [string, string][];
  /** Of the checkpoint that the run continues from. */
  progress?: Progress;
  updates?: Record<string, number>;
  saved: string;
}

/** On rank 0: the checkpoint that the run continues from, or the one whose weights it starts from. */
export interface Sources {
  checkpoint: Checkpoint | undefined;
  /** Whether that checkpoint belongs to this run rather than to the one that it branches off. */
  isOwn: boolean;
  initial: Checkpoint | undefined;
  exists: boolean;
}

/** Opens and checks texts and tensors on every rank before a new run's folder is created. */
export async function openRun(
  given: Config,
  options: RunOptions,
  report: Reporter,
  group: ProcessGroup = alone,
): Promise<Run> {
  const held: Disposable[] = [];
  const release = () => {
    const errors: unknown[] = [];
    for (const resource of held.splice(0).reverse()) {
      try {
        resource[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  };
  try {
    return { ...(await open(given, options, report, group, held)), [Symbol.dispose]: release };
  } catch (error) {
    try {
      release();
    } catch {} // the first error is the one to report
    throw error;
  }
}

/** Adds to `held` what must be released at the end: the run's lock, its texts, tensors and sinks. */
async function open(
  given: Config,
  options: RunOptions,
  report: Reporter,
  group: ProcessGroup,
  held: Disposable[],
): Promise<Omit<Run, keyof Disposable>> {
  const { out, resume = false, samples, depth } = options;
  const isFirst = group.rank === 0;
  const sources = isFirst ? openSources(given, out, resume, report, held) : undefined;
  const start = await group.share('start', sources && (await startOf(given, sources, report, samples)));
  const tokenizer = TextTokenizer.fromJson(start.tokenizerJson);
  const config: Config = {
    ...given,
    model: { ...given.model, vocabSize: start.config.model.vocabSize },
    data: withPins(given.data, start.pins),
  };
  checkSameConfig(start.config, config, group);
  checkShares(config, group);
  if (sources?.checkpoint) checkResumable(out, sources.checkpoint, config, (message) => report.warn(message));
  checkSamples(out, start.progress, samples);
  const isResumed = start.progress !== undefined;
  const texts = await machineByMachine(group, () => openTexts(config, tokenizer, report, { samples, isResumed }));
  held.push({ [Symbol.dispose]: () => texts.close() });
  checkSameTexts(await group.gather('texts', texts.hash), group);
  if (start.progress && start.progress.textHash !== texts.hash) {
    const instead = sources ? insteadOf(out, config) : 'start a new run with another --out';
    throw new DataError(
      `${out}: the texts differ from those that the run was started with, or another version of taper read them differently; restore them, or ${instead}`,
    );
  }
  if (!start.progress) {
    checkKnown(texts.train(0).samples, config);
    warnOfEpochs(config, texts, { out, report, group });
  }
  const state = openState(config, group, start, { sources, texts, report, depth });
  held.push({ [Symbol.dispose]: () => freeState(state) });
  const fresh: Progress = { step: 0, samples: 0, tokens: 0, nonFiniteSteps: 0, textHash: texts.hash };
  if (samples) fresh.source = samples.name;
  if (config.train.precision === 'fp16') fresh.lossScale = initialLossScale;
  const progress = start.progress ?? fresh;
  const step = start.progress ? progress.step : -1;
  const sinks = sources ? openFolder(config, options, { ...sources, step }, held) : [];
  if (sources?.checkpoint) report.note(`continuing from ${sources.checkpoint.path}`);
  const { saved } = start;
  const norms = new NormWatch();
  const work = worksOf(config);
  return { config, out, texts, state, work, group, report, sinks, progress, saved, norms };
}

function freeState({ masters, optimizer }: TrainingState): void {
  for (const tensor of [...masters.values(), ...slotTensors(optimizer.values())]) tensor.free();
}

/** Inspects the folder of the run, and locks it if it exists: adds the lock to `held`. */
export function openSources(
  given: Config,
  out: string,
  resume: boolean,
  report: Reporter,
  held: Disposable[],
): Sources {
  checkOut(out);
  const exists = holdsRun(out);
  refuseOld(join(out, 'config.json'), resume);
  if (exists) held.push(lockRun(out));
  // A run killed before its first checkpoint starts from scratch.
  const own = exists && checkpointsOf(out).length > 0 ? openCheckpoint(out, report.warn) : undefined;
  const { from, decayFrom } = given.train;
  const stem = own || decayFrom === undefined ? undefined : openCheckpoint(decayFrom, report.warn);
  const checkpoint = own ?? (stem && { ...stem, config: decayOf(stem, given.train) });
  const initial = checkpoint || from === undefined ? undefined : openCheckpoint(from, report.warn);
  return { checkpoint, isOwn: own !== undefined, initial, exists };
}

/** The tokenizer of the checkpoint, or else the configuration's, and what follows from it. Texts on the Hub are pinned to commits. */
export async function startOf(
  asked: Config,
  { checkpoint, isOwn, initial }: Sources,
  report: Reporter,
  samples: Documents | undefined,
): Promise<Start> {
  const known = checkpoint ?? initial;
  const pins = samples ? [] : await pinsOf(asked.data, checkpoint?.config.data, report);
  const given = { ...asked, data: withPins(asked.data, pins) };
  const tokenizer = known ? TextTokenizer.fromJson(known.tokenizerJson) : await openTokenizer(given, report, samples);
  const vocabSize = known?.config.model.vocabSize ?? tokenizer.vocabSize;
  const config: Config = { ...given, model: { ...given.model, vocabSize } };
  if (initial) checkSameModel(initial, config.model);
  if (initial && config.data.tokenizer !== undefined) {
    throw new ConfigError(
      'data.tokenizer: a run that starts from a checkpoint uses its tokenizer; leave out data.tokenizer, or add --set data.tokenizer=null',
    );
  }
  const start = { tokenizerJson: tokenizer.json, config, pins, saved: isOwn ? checkpoint!.path : '' };
  return checkpoint ? { ...start, progress: checkpoint.progress, updates: checkpoint.updates } : start;
}

const namesOf = ({ train, valid }: Pick<Config['data'], 'train' | 'valid'>) => [...trainPaths(train), ...valid];

/** The names of texts with their pinned names: the run's if it has them, otherwise with the current commits. */
async function pinsOf(
  data: Config['data'],
  before: Config['data'] | undefined,
  report: Reporter,
): Promise<[string, string][]> {
  const names = namesOf(data);
  const pinned = await pinNames(names, {
    cacheDir: data.cache,
    known: before ? namesOf(before) : [],
    onWarning: (message) => report.warn(message),
  });
  const pins = names.map((name, i): [string, string] => [name, pinned[i]!]);
  for (const [name, now] of new Map(pins)) if (name !== now) report.note(`text: ${now}`);
  return pins;
}

/** Texts by their pinned names. */
function withPins(data: Config['data'], pins: readonly [string, string][]): Config['data'] {
  const nameFor = new Map(pins);
  const pin = (name: string) => nameFor.get(name) ?? name;
  const pinAll = (path: string | string[]) => (typeof path === 'string' ? pin(path) : path.map(pin));
  const train = data.train.map((entry) =>
    typeof entry === 'string' ? pin(entry) : { ...entry, path: pinAll(entry.path) },
  );
  return { ...data, train, valid: data.valid.map(pin) };
}

/** Warns about a run that passes over its text too often, with the command for a shorter one. */
function warnOfEpochs(
  config: Config,
  texts: Texts,
  { out, report, group }: { out: string; report: Reporter; group: ProcessGroup },
): void {
  const fewer = fewerEpochs(config, texts);
  if (fewer === undefined) return;
  const { warning, epochs, steps } = fewer;
  const name = freeName(`${out}-${epochs}-epochs`);
  const command =
    group.size === 1
      ? startedWith(['--set', `train.epochs=${epochs}`, '--out', name])
      : startedWith(['--set', `train.steps=${steps}`, '--out', name], []); // a rank knows only its own part of the command
  report.warn(`${warning}: ${command}`);
}

/** Refuses to resume with another source of documents. */
function checkSamples(out: string, progress: Progress | undefined, samples: Documents | undefined): void {
  if (progress === undefined || progress.source === samples?.name) return;
  const was = progress.source === undefined ? 'data.train' : `a program's samples ${progress.source}`;
  const is = samples ? `the samples ${samples.name}` : 'no samples';
  throw new ConfigError(`${out}: was trained on ${was}, but now gets ${is}; pass the same samples as before`);
}

function checkSameConfig(first: Config, own: Config, { rank }: ProcessGroup): void {
  const difference = firstDifference(first, own);
  if (difference === undefined) return;
  const { key, was, is } = difference;
  throw new ConfigError(`${key}: ${is} on rank ${rank} and ${was} on rank 0; give every rank the same configuration`);
}

function checkShares({ train }: Config, { size }: ProcessGroup): void {
  if (train.microBatchSize >= size) return;
  throw new ConfigError(
    `train.microBatchSize: ${counted(train.microBatchSize, 'sequence')} cannot be divided among ${size} ranks; this is the size on all ranks together, so set it to ${size} or more`,
  );
}

function checkSameTexts(hashes: readonly string[], { rank }: ProcessGroup): void {
  const others = [...hashes.keys()].filter((other) => hashes[other] !== hashes[0]);
  if (others.length === 0) return;
  throw new DataError(
    `data.train: the texts of rank ${others.join(', ')} differ from those of rank 0 (this is rank ${rank}); give every rank the same files`,
  );
}

/** The first rank of each machine prepares the files; the others there then find them ready. */
async function machineByMachine<T>(group: ProcessGroup, prepare: () => Promise<T>): Promise<T> {
  const own = group.localRank === 0 ? await prepare() : undefined;
  await group.gather('prepared', null);
  return own ?? (await prepare());
}

function openFolder(
  config: Config,
  { out, resume = false, sinks = [jsonl(), tensorBoard()] }: RunOptions,
  { exists, step }: Sources & { step: number },
  held: Disposable[],
): OpenSink[] {
  const configPath = join(out, 'config.json');
  if (!exists) {
    writing(out, () => makeFolder(out));
    held.push(writing(out, () => lockRun(out)));
    refuseOld(configPath, resume); // another process may have created it in the meantime
  }
  replaceFile(configPath, `${JSON.stringify(config, null, 2)}\n`);
  return sinks.map((sink) => {
    const open = openSink(sink, { out, config, step });
    held.push({ [Symbol.dispose]: () => open.close?.() });
    return open;
  });
}

/** Refuses a path that no run can be written to, before any work is done. */
function checkOut(out: string): void {
  const kind = kindOf(out);
  if (kind === 'nothing') {
    let above = dirname(resolve(out));
    while (kindOf(above) === 'nothing') above = dirname(above);
    if (kindOf(above) !== 'file') return;
    throw new OutputError(`--out ${out}: cannot be written: ${above} is a file; give another folder`);
  }
  if (kind === 'empty' || holdsRun(out)) return;
  const what = kind === 'file' ? 'is a file' : 'is neither empty nor a run';
  throw new OutputError(`--out ${out}: ${what}; give a new folder, or add --resume and give the folder of a run`);
}

function refuseOld(configPath: string, resume: boolean): void {
  if (resume || !existsSync(configPath)) return;
  const out = dirname(configPath);
  throw new ConfigError(`--out ${out}: already contains a run; add --resume to continue it, or give another folder`);
}

/** Where the tensors of a run come from; `sources` are rank 0's. */
interface StateSources {
  sources: Sources | undefined;
  texts: Texts;
  report: Reporter;
  depth: DepthMethod | undefined;
}

/** The tensors of a run: those of its checkpoint, or the weights of another checkpoint, or new ones from the seed. */
function openState(config: Config, group: ProcessGroup, { updates }: Start, given: StateSources): TrainingState {
  const { model, train } = config;
  const layout = layoutOf(config, group);
  const { masters, optimizer } = readState(config, layout.specs, given);
  const own = distribute({ ...layout, masters, group, config }, { optimizer, updates });
  const { steps } = train;
  const depth = given.depth && withShared(checkedMethod(given.depth, model.layers), config.depth, model.layers, steps);
  const state = trainingState(config, masters, { optimizer: own, depth, group, layout });
  // What a program's function returns for the first step need not hold for the others.
  if (own || given.depth) return state;
  for (const [l, keepRate] of state.depth(0).keepRates.entries()) if (keepRate === 0) makeIdentity(model, masters, l);
  return state;
}

/** The weights and moments on rank 0; zero weights to be filled on the others. */
function readState(
  { model, train }: Config,
  specs: readonly ParameterSpec[],
  { sources, texts, report }: Omit<StateSources, 'depth'>,
): { masters: Weights; optimizer?: OptimizerState } {
  const { device, seed } = train;
  if (sources === undefined)
    return { masters: new Map(specs.map(({ name, shape }) => [name, Tensor.zeros(shape, { device })])) };
  const { checkpoint, initial } = sources;
  if (checkpoint)
    return { masters: loadWeights(checkpoint, model, device), optimizer: loadOptimizer(checkpoint, device) };
  const begin = initial && weightsFrom(initial, specs, train);
  if (begin) {
    const fresh = begin.fresh.length > 0 ? `; randomly initialised: ${begin.fresh.join(', ')}` : '';
    report.note(`starting from the weights of ${initial.path}${fresh}`);
  }
  if (begin) return { masters: begin.weights };
  const masters = initialiseParameters(specs, seed, device);
  const { outputBias } = familyOf(model);
  if (train.outputBias === 'frequencies' && outputBias)
    startOutputBias(masters.get(outputBias)!, texts.train(0).samples);
  return { masters };
}

/** Lets a new model predict each token as often as it occurs. */
function startOutputBias(bias: Tensor, samples: Samples): void {
  const [vocabSize] = bias.shape as [number];
  using start = Tensor.from(logFrequencies(samples, vocabSize), [vocabSize], { device: bias.device });
  bias.copy_(start);
}
