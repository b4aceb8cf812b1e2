import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  type Checkpoint,
  checkpointsOf,
  checkResumable,
  checkSameModel,
  decayOf,
  firstDifference,
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
import { lockRun, makeFolder, replaceFile, writing } from '../files/index.ts';
import { familyOf, initialiseParameters, makeIdentity, type ParameterSpec, type Weights } from '../model/index.ts';
import { type OptimizerState, slotTensors } from '../optimizers/index.ts';
import { jsonl, type OpenSink, openSink, type Reporter, type Sink, tensorBoard } from '../runs/index.ts';
import { Tensor } from '../tensor/index.ts';
import { initialLossScale } from './loss-scale.ts';
import { NormWatch } from './norm-watch.ts';
import { logFrequencies } from './output-bias.ts';
import { spread } from './shards.ts';
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
  /** What each of its steps does in the mean. */
  readonly work: (step: number) => StepWork;
  readonly group: ProcessGroup;
  readonly report: Reporter;
  /** Where its metrics go; on rank 0 alone. */
  readonly sinks: readonly OpenSink[];
  progress: Progress;
  /** Its newest checkpoint; empty before there is one. */
  saved: string;
  readonly norms: NormWatch;
}

/** Where a run is, and what a program passes to it instead of what its configuration names. */
export interface RunOptions {
  /** The folder of the run; rank 0 alone reads and writes it. */
  out: string;
  /** Go on from the newest checkpoint in `out`. */
  resume?: boolean;
  /** A depth method instead of the configuration's: a pure function of the step, the same whenever the run goes on. */
  depth?: DepthMethod | undefined;
  /** What to train on instead of `data.train`. */
  samples?: Documents | undefined;
  /** Where the metrics go, on rank 0; `metrics.jsonl` and TensorBoard's files in the folder of the run where nothing is said. */
  sinks?: readonly Sink[];
}

/** What rank 0 finds and the others need to know. */
interface Start {
  tokenizerJson: string;
  config: Config;
  /** The names of texts, and those by which they always mean the same. */
  pins: [string, string][];
  /** Of the checkpoint that the run goes on from. */
  progress?: Progress;
  updates?: Record<string, number>;
  saved: string;
}

/** Rank 0's: the checkpoint that the run goes on from, or the one whose weights it begins with. */
interface Sources {
  checkpoint: Checkpoint | undefined;
  /** Whether that is of this run, and not of the one that it branches off. */
  isOwn: boolean;
  initial: Checkpoint | undefined;
  exists: boolean;
}

/** Texts and tensors are opened and checked, on every rank, before a new run's folder is made. */
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
    } catch {} // what went wrong first is told
    throw error;
  }
}

/** Puts into `held` what has to be given back at the end: the run's lock, its texts, tensors and sinks. */
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
      `${out}: the texts are not those that the run was started with, or another version of taper read them differently; bring them back, or ${instead}`,
    );
  }
  if (!start.progress) checkKnown(texts.train(0).samples, config);
  const state = openState(config, group, start, { sources, texts, report, depth });
  held.push({ [Symbol.dispose]: () => freeState(state) });
  const fresh: Progress = { step: 0, samples: 0, tokens: 0, nonFiniteSteps: 0, textHash: texts.hash };
  if (samples) fresh.source = samples.name;
  if (config.train.precision === 'fp16') fresh.lossScale = initialLossScale;
  const progress = start.progress ?? fresh;
  const step = start.progress ? progress.step : -1;
  const sinks = sources ? openFolder(config, options, { ...sources, step }, held) : [];
  if (sources?.checkpoint) report.note(`going on from ${sources.checkpoint.path}`);
  const { saved } = start;
  const norms = new NormWatch();
  const work = worksOf(config);
  return { config, out, texts, state, work, group, report, sinks, progress, saved, norms };
}

function freeState({ masters, optimizer }: TrainingState): void {
  for (const tensor of [...masters.values(), ...slotTensors(optimizer.values())]) tensor.free();
}

/** Looks into the folder of the run, and takes it if it is there. */
function openSources(given: Config, out: string, resume: boolean, report: Reporter, held: Disposable[]): Sources {
  checkOut(out);
  const exists = holdsRun(out);
  refuseOld(join(out, 'config.json'), resume);
  if (exists) held.push(lockRun(out));
  // A run that was killed before it had one starts anew.
  const own = exists && checkpointsOf(out).length > 0 ? openCheckpoint(out, report.warn) : undefined;
  const { from, decayFrom } = given.train;
  const stem = own || decayFrom === undefined ? undefined : openCheckpoint(decayFrom, report.warn);
  const checkpoint = own ?? (stem && { ...stem, config: decayOf(stem, given.train) });
  const initial = checkpoint || from === undefined ? undefined : openCheckpoint(from, report.warn);
  return { checkpoint, isOwn: own !== undefined, initial, exists };
}

/** The tokenizer of the checkpoint, or the configuration's own; and what follows from it. Texts on the Hub get their commits. */
async function startOf(
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
      'data.tokenizer: a run that begins with a checkpoint has its tokenizer; leave it out, or add --set data.tokenizer=null',
    );
  }
  const start = { tokenizerJson: tokenizer.json, config, pins, saved: isOwn ? checkpoint!.path : '' };
  return checkpoint ? { ...start, progress: checkpoint.progress, updates: checkpoint.updates } : start;
}

const namesOf = ({ train, valid }: Pick<Config['data'], 'train' | 'valid'>) => [...trainPaths(train), ...valid];

/** The names of texts beside those that always mean the same: those of the run where it has them, else with the commits of now. */
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

/** Texts by the names that always mean the same. */
function withPins(data: Config['data'], pins: readonly [string, string][]): Config['data'] {
  const nameFor = new Map(pins);
  const pin = (name: string) => nameFor.get(name) ?? name;
  const pinAll = (path: string | string[]) => (typeof path === 'string' ? pin(path) : path.map(pin));
  const train = data.train.map((entry) =>
    typeof entry === 'string' ? pin(entry) : { ...entry, path: pinAll(entry.path) },
  );
  return { ...data, train, valid: data.valid.map(pin) };
}

/** Refuses to go on with another source of documents than before. */
function checkSamples(out: string, progress: Progress | undefined, samples: Documents | undefined): void {
  if (progress === undefined || progress.source === samples?.name) return;
  const was = progress.source === undefined ? 'data.train' : `a program's samples ${progress.source}`;
  const is = samples ? `the samples ${samples.name}` : 'none of them';
  throw new ConfigError(`${out}: was trained on ${was}, and now there are ${is}; pass the same samples again`);
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
    `train.microBatchSize: ${counted(train.microBatchSize, 'sequence')} cannot be divided over ${size} ranks; it is their number on all ranks together, give more`,
  );
}

function checkSameTexts(hashes: readonly string[], { rank }: ProcessGroup): void {
  const others = [...hashes.keys()].filter((other) => hashes[other] !== hashes[0]);
  if (others.length === 0) return;
  throw new DataError(
    `data.train: rank ${others.join(', ')} has other texts than rank 0 (this is rank ${rank}); give every rank the same files`,
  );
}

/** The first rank of each machine prepares what the others there find ready. */
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
    refuseOld(configPath, resume); // another process may have made it meanwhile
  }
  replaceFile(configPath, `${JSON.stringify(config, null, 2)}\n`);
  return sinks.map((sink) => {
    const open = openSink(sink, { out, config, step });
    held.push({ [Symbol.dispose]: () => open.close?.() });
    return open;
  });
}

/** Refuses what no run can be written to, before work is done for it. */
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
  throw new OutputError(`--out ${out}: ${what}; give a new folder, or that of a run with --resume`);
}

function refuseOld(configPath: string, resume: boolean): void {
  if (resume || !existsSync(configPath)) return;
  const out = dirname(configPath);
  throw new ConfigError(`--out ${out}: holds a run already; give --resume to go on with it, or another folder`);
}

/** What the tensors of a run come from; `sources` are rank 0's. */
interface StateSources {
  sources: Sources | undefined;
  texts: Texts;
  report: Reporter;
  depth: DepthMethod | undefined;
}

/** The tensors of a run: those of its checkpoint; or the weights of another, or new ones from the seed. */
function openState(config: Config, group: ProcessGroup, { updates }: Start, given: StateSources): TrainingState {
  const { model, train } = config;
  const layout = layoutOf(config, group);
  const { masters, optimizer } = readState(config, layout.specs, given);
  const own = spread({ ...layout, masters, group, config }, { optimizer, updates });
  const { steps } = train;
  const depth = given.depth && withShared(checkedMethod(given.depth, model.layers), config.depth, model.layers, steps);
  const state = trainingState(config, masters, { optimizer: own, depth, group, layout });
  // What a program's function says of the first step need not hold for the others.
  if (own || given.depth) return state;
  for (const [l, keepRate] of state.depth(0).keepRates.entries()) if (keepRate === 0) makeIdentity(model, masters, l);
  return state;
}

/** What rank 0 has of weights and moments; on the others room for it. */
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
    const fresh = begin.fresh.length > 0 ? `; new: ${begin.fresh.join(', ')}` : '';
    report.note(`beginning with ${initial.path}${fresh}`);
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
