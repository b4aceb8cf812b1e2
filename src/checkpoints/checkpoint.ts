import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Config, loadConfig } from '../config/index.ts';
import { specialIdsOf } from '../data/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { makeFolder, replaceFile, sync, writing } from '../files/index.ts';
import { familyOf, type Head, type LabelHead, type ModelConfig, parameterSpecs, type Weights } from '../model/index.ts';
import { type OptimizerState, slotsOf } from '../optimizers/index.ts';
import { type Device, firstNonFinite, readSafetensors, type Tensor, writeSafetensors } from '../tensor/index.ts';
import { holdsRun, kindOf, whyNoCheckpoint } from './folders.ts';
import { newRunCommand } from './new-run.ts';
import { areFinite, onDevice, readWeights, writeWeights } from './weights.ts';

// A checkpoint is a folder: model.safetensors, config.json and tokenizer.json are Hugging Face's and open there as they are;
// trainer.json records where they come from, and with optimizer.safetensors a run can resume from them.

const formatVersion = 1;
const neededFiles = ['model.safetensors', 'config.json', 'tokenizer.json'] as const;
const optimizerFile = 'optimizer.safetensors';
/** The model card of an imported or fine-tuned model, kept for its export. */
const cardFile = 'README.md';

/** The loss scale in fp16, and the number of good steps in a row. */
export interface LossScale {
  scale: number;
  goodSteps: number;
}

/** The progress of a run, besides its tensors. */
export interface Progress {
  /** Optimizer steps done. */
  step: number;
  /** Sequences seen. */
  samples: number;
  /** Tokens seen, without padding. */
  tokens: number;
  /** The number of latest steps in a row whose loss or gradient was not finite. */
  nonFiniteSteps: number;
  /** SHA-256 of the tokenised texts that the run reads. */
  textHash: string;
  /** The name of the program's documents that it is trained on, if they are not the configuration's. */
  source?: string;
  /** In fp16. */
  lossScale?: LossScale;
}

/** The progress of a model that was not trained here. */
export const untrainedProgress: Progress = { step: 0, samples: 0, tokens: 0, nonFiniteSteps: 0, textHash: '' };

/** How a fine-tuned model reads its examples; other examples are read alike unless asked otherwise. */
export interface ExampleInput {
  /** The columns of their texts, one or two; an import does not tell. */
  texts?: readonly string[];
  /** The names of all columns, for a table without a header. */
  columns?: readonly string[];
  /** The maximum number of tokens per sequence. */
  maxLength: number;
  /** The maximum number of windows in which a long text is read. */
  windows: number;
}

/** `trainer.json` */
interface TrainerFile extends Progress {
  format: number;
  config: Config;
  head?: Head;
  input?: ExampleInput;
  /** Used instead of `head` in files of earlier versions. */
  classifier?: { labels: string[]; isRegression: boolean };
  /** How often each parameter was updated. */
  updates: Record<string, number>;
  /** SHA-256 of the other files. */
  checksums: Record<string, string>;
  /** SHA-256 of this file's own content without this key. */
  checksum: string;
}

/** A checkpoint whose files are all intact. */
export interface Checkpoint {
  path: string;
  progress: Progress;
  /** The complete configuration of the run that wrote it. */
  config: Config;
  /** The head of a model that was fine-tuned; a pre-trained one has those of its family. */
  head?: Head;
  /** Of a model that was fine-tuned on tables. */
  input?: ExampleInput;
  updates: Record<string, number>;
  tokenizerJson: string;
  /** SHA-256 of `model.safetensors`; empty for a model in Hugging Face's format. */
  weightsHash: string;
  /** Of a model in Hugging Face's format, in float32 on the CPU: `loadWeights` passes them on. */
  weights?: Weights;
  /** The model card of an imported or fine-tuned model. */
  card?: string;
}

/** The content of a checkpoint; without `optimizer` no run can resume from it, but a new one can start from it. */
export interface CheckpointContent
  extends Pick<Checkpoint, 'config' | 'progress' | 'head' | 'input' | 'tokenizerJson' | 'card'> {
  weights: Weights;
  optimizer?: OptimizerState;
}

/**
 * Writes a checkpoint folder under another name beside its place, then renames it.
 *
 * @throws CheckpointError when a weight or a moment is not finite.
 * @throws OutputError when the folder cannot be written; nothing half-written is left.
 */
export function writeCheckpoint(path: string, content: CheckpointContent): void {
  const target = path.replace(/(?<=.)\/+$/, ''); // the other name must be beside it even if the path ends with a slash
  const { config, head, input, progress, weights, optimizer, tokenizerJson, card } = content;
  if (!areFinite(weights, optimizer)) {
    throw new CheckpointError(
      `${path}: the weights, or the optimizer's moments, are not finite; nothing was saved: use another model or an earlier checkpoint`,
    );
  }
  const partial = `${target}.partial`;
  writing(target, () => {
    try {
      rmSync(partial, { recursive: true, force: true });
      makeFolder(partial);
      writeWeights(join(partial, 'model.safetensors'), parameterSpecs(config.model, head), weights);
      writeJson(
        join(partial, 'config.json'),
        familyOf(config.model).huggingFace.write(config.model, { head, specialIds: specialIdsOf(tokenizerJson) }),
      );
      writeFileSync(join(partial, 'tokenizer.json'), tokenizerJson);
      if (optimizer) writeSafetensors(join(partial, optimizerFile), optimizerTensors(optimizer));
      if (card !== undefined) writeFileSync(join(partial, cardFile), card);
      const updates = Object.fromEntries(Array.from(optimizer ?? [], ([name, state]) => [name, state.updates]));
      const checksums = Object.fromEntries(readdirSync(partial).map((name) => [name, sha256(join(partial, name))]));
      const trainer = {
        format: formatVersion,
        ...progress,
        config,
        ...(head && { head }),
        ...(input && { input }),
        updates,
        checksums,
      };
      writeJson(join(partial, 'trainer.json'), { ...trainer, checksum: checksumOf(trainer) });
      for (const name of readdirSync(partial)) sync(join(partial, name));
      rmSync(target, { recursive: true, force: true });
      renameSync(partial, target);
      sync(dirname(target));
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  });
}

/**
 * Writes `checkpoints/step-N` of a run, and names it in `checkpoints/latest`; then deletes all but the newest `keepCheckpoints`,
 * unless the latest steps were not finite: older ones may still be needed. Returns its path.
 *
 * @throws CheckpointError when a weight or a moment is not finite.
 * @throws OutputError when the folder cannot be written.
 */
export function saveCheckpoint(run: string, content: CheckpointContent): string {
  const { config, progress } = content;
  const folder = join(run, 'checkpoints');
  const target = checkpointPath(run, progress.step);
  writeCheckpoint(target, content);
  replaceFile(join(folder, 'latest'), `${basename(target)}\n`);
  if (progress.nonFiniteSteps > 0) return target;
  const found = checkpointsOf(run);
  // Newer ones than this are broken, or the run would have resumed from them: they do not count.
  for (const old of found.slice(found.indexOf(target) + config.train.keepCheckpoints)) {
    rmSync(old, { recursive: true, force: true });
  }
  return target;
}

/**
 * Opens a checkpoint folder, or the newest whole checkpoint of a run; `warn` is called for newer ones that are broken.
 *
 * @throws CheckpointError when there is none, or it is broken; names the file that is missing or changed.
 */
export function openCheckpoint(path: string, warn: (message: string) => void): Checkpoint {
  if (kindOf(path) !== 'run') return openFolder(path);
  const candidates = checkpointsOf(path);
  for (const [i, candidate] of candidates.entries()) {
    try {
      return openFolder(candidate);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      if (i === candidates.length - 1) throw noneIsWhole(path, error);
      warn(`${error.message}; using the checkpoint before it`);
    }
  }
  throw new CheckpointError(`${path}: this run has no checkpoint yet; wait for its first one`);
}

/** Whether a folder is a checkpoint that could be opened. */
export function isWhole(path: string): boolean {
  try {
    openFolder(path);
    return true;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

/** The folder of the checkpoint that a run writes after `step` steps. */
export function checkpointPath(run: string, step: number): string {
  return join(run, 'checkpoints', `step-${step}`);
}

/** The checkpoint folders of a run, newest first. */
export function checkpointsOf(run: string): string[] {
  const folder = join(run, 'checkpoints');
  if (!existsSync(folder)) return [];
  const steps = readdirSync(folder).flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []);
  return steps
    .map(Number)
    .sort((a, b) => b - a)
    .map((step) => join(folder, `step-${step}`));
}

/** The error of the last checkpoint of a run that was tried, and what to do if no other is left. */
function noneIsWhole(run: string, cause: CheckpointError): CheckpointError {
  const advice = holdsRun(run)
    ? `; start the run again: ${newRunCommand(run, loadConfig({ file: join(run, 'config.json') }).config)}`
    : '';
  return new CheckpointError(`${run}: none of its checkpoints can be used: ${cause.message}${advice}`, { cause });
}

function openFolder(path: string): Checkpoint {
  const file = join(path, 'trainer.json');
  if (!existsSync(file)) throw new CheckpointError(whyNoCheckpoint(path));
  let trainer: TrainerFile;
  try {
    trainer = JSON.parse(readFileSync(file, 'utf8')) as TrainerFile;
  } catch (cause) {
    throw new CheckpointError(`${file}: is not JSON; use another checkpoint`, { cause });
  }
  if (trainer.format !== formatVersion) {
    throw new CheckpointError(
      `${file}: format ${trainer.format}, but this version of taper reads ${formatVersion}; use the version that wrote it`,
    );
  }
  const { checksum, ...content } = trainer;
  if (checksumOf(content) !== checksum) throw changed(file);
  for (const name of new Set([...neededFiles, ...Object.keys(trainer.checksums)])) {
    if (!existsSync(join(path, name))) throw new CheckpointError(`${path}: ${name} is missing; use another checkpoint`);
    if (sha256(join(path, name)) !== trainer.checksums[name]) throw changed(join(path, name));
  }
  for (const name of ['model.safetensors', optimizerFile].filter((file) => file in trainer.checksums)) {
    const tensor = firstNonFinite(join(path, name));
    if (tensor === undefined) continue;
    throw new CheckpointError(
      `${path}: training had diverged: ${tensor} in ${name} contains numbers that are not finite; use an earlier checkpoint`,
    );
  }
  const { updates, input, step, samples, tokens, nonFiniteSteps, textHash, source, lossScale } = trainer;
  const head = headOf(trainer);
  const { config } = loadConfig({ overrides: asFormerly(trainer.config, head) }); // with the defaults of keys added since
  return {
    path,
    progress: {
      step,
      samples,
      tokens,
      nonFiniteSteps,
      textHash,
      ...(source !== undefined && { source }),
      ...(lossScale && { lossScale }),
    },
    config,
    ...(head && { head }),
    ...(input && { input }),
    updates,
    tokenizerJson: readFileSync(join(path, 'tokenizer.json'), 'utf8'),
    weightsHash: trainer.checksums['model.safetensors']!,
    ...(cardFile in trainer.checksums && { card: readFileSync(join(path, cardFile), 'utf8') }),
  };
}

function headOf({ head, classifier }: TrainerFile): Head | undefined {
  if (head || !classifier) return head;
  const { labels, isRegression } = classifier;
  return { kind: isRegression ? 'regression' : 'single-label', labels } satisfies LabelHead;
}

/** The configuration of a fine-tuned model: in files of earlier versions a ModernBERT reads the first token. */
function asFormerly(config: Config, head: Head | undefined): Config {
  const { model } = config;
  const isFormer = head !== undefined && model.kind === 'modernbert' && model.classifierPooling === undefined;
  return isFormer ? { ...config, model: { ...model, classifierPooling: 'cls' } } : config;
}

/**
 * The float32 weights of a checkpoint; they belong to the caller.
 *
 * @throws CheckpointError when they are not those of `model`; names the first tensor that differs.
 */
export function loadWeights(checkpoint: Checkpoint, model: ModelConfig, device: Device): Map<string, Tensor> {
  if (checkpoint.weights) return onDevice(checkpoint.weights, device);
  const file = join(checkpoint.path, 'model.safetensors');
  return readWeights(file, parameterSpecs(model, checkpoint.head), device);
}

/**
 * The optimizer state of a checkpoint; its tensors belong to the caller.
 *
 * @throws CheckpointError when the checkpoint has no optimizer state, or lacks the moments of a parameter.
 */
export function loadOptimizer(checkpoint: Checkpoint, device: Device): OptimizerState {
  const file = join(checkpoint.path, optimizerFile);
  if (!existsSync(file)) {
    throw new CheckpointError(
      `${checkpoint.path}: has no optimizer state to resume with; start a new run from it (--from)`,
    );
  }
  const tensors = readSafetensors(file, device);
  const slotOf = (name: string, slot: string): [string, Tensor] => {
    const tensor = tensors.get(`${name}.${slot}`);
    if (tensor) return [slot, tensor];
    throw new CheckpointError(`${checkpoint.path}: optimizer.safetensors lacks ${name}; use another checkpoint`);
  };
  const { model, train } = checkpoint.config;
  return new Map(
    parameterSpecs(model).map((spec) => {
      const slots = slotsOf(train.optimizer, spec).map((slot) => slotOf(spec.name, slot));
      return [spec.name, { slots: Object.fromEntries(slots), updates: checkpoint.updates[spec.name]! }];
    }),
  );
}

function changed(file: string): CheckpointError {
  return new CheckpointError(`${file}: changed since it was written (its checksum differs); use another checkpoint`);
}

function checksumOf(content: Omit<TrainerFile, 'checksum'>): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function optimizerTensors(optimizer: OptimizerState): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [name, { slots }] of optimizer) {
    for (const [slot, tensor] of Object.entries(slots)) tensors.set(`${name}.${slot}`, tensor);
  }
  return tensors;
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

function sha256(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(1 << 20);
  const file = openSync(path, 'r');
  try {
    for (let got = readSync(file, chunk); got > 0; got = readSync(file, chunk)) hash.update(chunk.subarray(0, got));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}
