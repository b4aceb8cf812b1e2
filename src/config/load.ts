import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { objectives } from '../data/index.ts';
import { completeDepth, depthMistakes } from '../depth/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { defaultDevice, hasBfloat16Products } from '../machine/index.ts';
import { type Family, families, familyOf, type ModelConfig, type ModelSettings, presets } from '../model/index.ts';
import { invalidSection, invalidSetting, unknownKey } from './mistakes.ts';
import { changesOf, greatestDivisor, type Phased, valuesOf } from './phases.ts';
import { type Config, configSchema, type ParsedConfig, type PartialConfig } from './schema.ts';
import { settings } from './settings.ts';
import { weightMistakes } from './sources.ts';

/** A value that was not given and was derived from others. */
export interface Derived {
  /** `section.key` */
  key: string;
  value: string | number;
  reason: string;
}

/** The result of `loadConfig`. */
export interface LoadedConfig {
  config: Config;
  /** The derived values, each with its reason, to be printed once. */
  derived: Derived[];
  /** Warnings about settings that are valid but probably unintended. */
  warnings: string[];
}

/** Top-level keys that only a DeepSpeed config has. */
const deepSpeedKeys = [
  'progressive_layer_drop',
  'train_micro_batch_size_per_gpu',
  'train_batch_size',
  'zero_optimization',
];

/** The family of a model without a kind or a preset. */
const defaultKind = 'bert';

/** Settings that only some families take. */
const ownSettings: ReadonlySet<keyof ModelConfig> = new Set(
  Object.values<Family>(families).flatMap(({ takes }) => takes),
);

/** An unchecked config file: sections of keys. */
type RawConfig = Record<string, unknown>;

/** The sources of a configuration. */
export interface ConfigSources {
  file?: string;
  sets?: readonly string[];
  overrides?: PartialConfig;
}

/**
 * The complete configuration of a run, from the least to the most important source: defaults, a YAML or JSON `file`,
 * `overrides` (flags, a DeepSpeed file), and `sets` of the form `section.key=value` with a value in YAML, or with `null`, which
 * resets the key to its default.
 *
 * @throws ConfigError of one line for a missing or broken file, an unknown key, a value of the wrong type or
 *   out of range, and values that do not fit each other; it reports the first mistake and how many more there are.
 */
export function loadConfig(sources: ConfigSources = {}): LoadedConfig {
  const parsed = parse(rawConfig(sources));
  const { steps, epochs } = parsed.train;
  if (epochs !== undefined) {
    throw new ConfigError(
      `train.epochs: ${epochs}, but only the text shows how many steps that is; set train.steps, or load with loadConfigForTexts`,
    );
  }
  if (steps === undefined) throw new ConfigError(invalidSetting('train.steps', undefined));
  const { config, derived } = complete(parsed, steps);
  const mistakes = misfits(config);
  if (mistakes.length > 0) throw mistakesError(mistakes);
  return { config, derived, warnings: warningsOf(config) };
}

/**
 * `train.epochs`, if the length of the run is given by it.
 *
 * @throws ConfigError as `loadConfig`.
 */
export function epochsIn(sources: ConfigSources): number | undefined {
  return parse(rawConfig(sources)).train.epochs;
}

/** The sections with their defaults, if each value is valid on its own. */
function parse(raw: RawConfig): ParsedConfig {
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success) {
    // Unknown keys first: a misspelt key is often why another one is missing.
    const isUnknown = (issue: z.core.$ZodIssue) => Number(issue.code === 'unrecognized_keys');
    const issues = parsed.error.issues.sort((a, b) => isUnknown(b) - isUnknown(a));
    throw mistakesError(issues.flatMap((issue) => issueMessages(issue, raw)));
  }
  const { steps, epochs } = parsed.data.train;
  if (steps !== undefined && epochs !== undefined)
    throw new ConfigError(`train.epochs: ${epochs}, but train.steps is also given (${steps}); keep one of them`);
  return parsed.data;
}

/**
 * The device of a configuration, before the configuration is checked.
 *
 * @throws ConfigError for a file that cannot be read, as `loadConfig`.
 */
export function deviceOf(sources: ConfigSources): string {
  const { train } = rawConfig(sources);
  const device = isMapping(train) ? train.device : undefined;
  return typeof device === 'string' ? device : defaultDevice();
}

function rawConfig({ file, overrides = {}, sets = [] }: ConfigSources): RawConfig {
  const raw: RawConfig = { model: {}, depth: {}, data: {}, train: {} };
  if (file !== undefined) merge(raw, fileSections(file));
  merge(raw, overrides);
  for (const set of sets) applySet(raw, set);
  return raw;
}

/** The folder that holds the configurations shipped with taper. */
const packageFolder = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * The content of a YAML or JSON file. If `configs/NAME.yaml` does not exist, that of the configuration shipped with taper.
 *
 * @throws ConfigError with the line and column of the mistake, or with the reason why the file cannot be read.
 */
export function readConfigFile(file: string): unknown {
  let text: string;
  const own = join(packageFolder, file);
  try {
    text = readFileSync(!existsSync(file) && file.startsWith('configs/') && existsSync(own) ? own : file, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a folder, not a file' : message;
    throw new ConfigError(`${file}: ${reason}; give the path of a YAML or JSON config file`, { cause });
  }
  return parseYaml(text, file);
}

/** The value of a YAML text (JSON is also YAML); `where` starts the error message. */
function parseYaml(text: string, where: string): unknown {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) {
    // The library's message continues with an excerpt: "… at line 3, column 2:\n\n…".
    const [firstLine = ''] = error.message.split('\n');
    throw new ConfigError(`${where}: broken YAML: ${firstLine.replace(/:$/, '')}`, { cause: error });
  }
  try {
    return document.toJS();
  } catch (cause) {
    // Only aliases fail here, and a pattern such as *.txt is parsed as one.
    const { message } = cause as Error;
    throw new ConfigError(`${where}: broken YAML: ${message}; a value that begins with * needs quotes`, { cause });
  }
}

function fileSections(file: string): RawConfig {
  const content = readConfigFile(file) ?? {};
  if (!isMapping(content)) {
    throw new ConfigError(`${file}: is not a mapping; a config file has the sections model, depth, data and train`);
  }
  const deepSpeed = deepSpeedKeys.find((key) => key in content);
  if (deepSpeed !== undefined) {
    throw new ConfigError(`${file}: is a DeepSpeed config (it has ${deepSpeed}); pass it with --deepspeed ${file}`);
  }
  return content;
}

/** Applies `train.steps=100` on top of earlier sources; `train.steps=null` removes the earlier value. */
function applySet(raw: RawConfig, set: string): void {
  const equals = set.indexOf('=');
  if (equals < 0) throw new ConfigError(`--set ${set}: has no "="; write --set train.steps=1000`);
  const path = set.slice(0, equals).trim();
  const setting = settings.find((candidate) => candidate.path === path);
  if (setting === undefined) throw new ConfigError(unknownKey(path));
  const text = set.slice(equals + 1);
  const section = raw[setting.section];
  if (text.trim() === 'null' && isMapping(section)) delete section[setting.key];
  else merge(raw, { [setting.section]: { [setting.key]: parseYaml(text, `--set ${set}`) } });
}

/**
 * Merges the keys of `part` into `raw`, section by section; empty sections and undefined keys change nothing. `train.epochs`
 * replaces an earlier `train.steps`, and the other way round.
 */
function merge(raw: RawConfig, part: RawConfig): void {
  for (const [name, section] of Object.entries(part)) {
    const below = raw[name];
    if (isMapping(below) && isMapping(section)) {
      const given = Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined));
      if (name === 'train' && ('steps' in given || 'epochs' in given)) {
        delete below.steps;
        delete below.epochs;
      }
      raw[name] = { ...below, ...given };
    } else if (section !== null && section !== undefined) {
      raw[name] = section;
    }
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The messages for one of the schema's issues; an issue about unknown keys may name several. */
function issueMessages(issue: z.core.$ZodIssue, raw: RawConfig): string[] {
  const [section = '', key] = issue.path.map(String);
  if (issue.code === 'unrecognized_keys' && key === undefined) {
    return issue.keys.map((unknown) => unknownKey(section === '' ? unknown : `${section}.${unknown}`));
  }
  const found = raw[section];
  if (key === undefined || !isMapping(found)) return [invalidSection(section, found)];
  return [invalidSetting(`${section}.${key}`, found[key])];
}

/** One error for all mistakes: the first, and how many more. */
function mistakesError(mistakes: readonly string[]): ConfigError {
  const [first, ...others] = new Set(mistakes);
  const more = others.length === 0 ? '' : ` (and ${counted(others.length, 'more mistake')})`;
  return new ConfigError(first + more);
}

/**
 * Fills in the derived values.
 *
 * @throws ConfigError if the sizes of the model are unknown.
 */
function complete(parsed: ParsedConfig, steps: number): { config: Config; derived: Derived[] } {
  const derived: Derived[] = [];
  const orDerived = (key: string, given: number | undefined, value: number, reason: string): number => {
    if (given !== undefined) return given;
    derived.push({ key, value, reason });
    return value;
  };

  const { data } = parsed;
  const { epochs: _, ...train } = { ...parsed.train, steps };
  const device = train.device ?? deviceFor(derived);
  const preset: Partial<ModelSettings> = parsed.model.preset === undefined ? {} : presets[parsed.model.preset];
  const kind = parsed.model.kind ?? preset.kind ?? defaultKind;
  const family = familyOf({ kind });
  const { layers: presetLayers, hiddenSize: presetSize, ...presetSettings } = preset;
  const model = { ...presetSettings, ...parsed.model, kind };
  const layers = model.layers ?? presetLayers;
  const hiddenSize = model.hiddenSize ?? presetSize;
  if (layers === undefined || hiddenSize === undefined) {
    throw mistakesError([
      ...(layers === undefined ? [invalidSetting('model.layers', undefined)] : []),
      ...(hiddenSize === undefined ? [invalidSetting('model.hiddenSize', undefined)] : []),
    ]);
  }
  if (model.heads === undefined && hiddenSize % 64 !== 0) {
    throw new ConfigError(
      `model.heads: missing, and cannot be derived because model.hiddenSize ${hiddenSize} is not a multiple of 64; ` +
        `give a number that divides ${hiddenSize}`,
    );
  }

  const usual = family.defaults(hiddenSize);

  const config: Config = {
    ...parsed,
    depth: completeDepth(parsed.depth, { layers, totalSteps: train.steps }, (key, value, reason) =>
      derived.push({ key: `depth.${key}`, value: Array.isArray(value) ? value.join(', ') : `${value}`, reason }),
    ),
    model: {
      ...usual,
      ...model,
      layers: orDerived('model.layers', model.layers, layers, `${model.preset}`),
      hiddenSize: orDerived('model.hiddenSize', model.hiddenSize, hiddenSize, `${model.preset}`),
      heads: orDerived('model.heads', model.heads, hiddenSize / 64, 'hiddenSize / 64'),
      ffnSize: orDerived('model.ffnSize', model.ffnSize, usual.ffnSize, `default of ${kind}`),
      activation: model.activation ?? usual.activation,
      layerNormEpsilon: model.layerNormEpsilon ?? usual.layerNormEpsilon,
      dropout: model.dropout ?? usual.dropout,
      attentionDropout: model.attentionDropout ?? usual.attentionDropout,
    },
    data: {
      ...data,
      sequenceLength: plain(data.sequenceLength),
      objective: data.objective ?? family.objectives[0],
      maskRate: plain(data.maskRate ?? family.recipe.maskRate),
    },
    train: {
      ...train,
      batchSize: plain(train.batchSize),
      device,
      betas: train.betas ?? family.recipe.betas,
      precision: train.precision ?? precisionFor(device, derived),
      microBatchSize: orDerived(
        'train.microBatchSize',
        train.microBatchSize,
        greatestDivisor(valuesOf(train.batchSize)),
        Array.isArray(train.batchSize) ? 'the greatest common divisor of batchSize' : 'batchSize',
      ),
      evalEvery: orDerived('train.evalEvery', train.evalEvery, Math.ceil(train.steps / 20), 'steps / 20'),
      saveEvery: orDerived('train.saveEvery', train.saveEvery, Math.ceil(train.steps / 10), 'steps / 10'),
    },
  };
  return { config, derived };
}

/** Replaces a list of one value by the value. */
const plain = <T>(value: Phased<T>): Phased<T> => (Array.isArray(value) && value.length === 1 ? value[0]![1] : value);

function deviceFor(derived: Derived[]): string {
  const value = defaultDevice();
  if (value !== 'cpu') derived.push({ key: 'train.device', value, reason: 'a GPU was found' });
  return value;
}

/** bf16 if it is faster. */
function precisionFor(device: string, derived: Derived[]): 'fp32' | 'bf16' {
  const isFast = device !== 'cpu' || hasBfloat16Products();
  const value = isFast ? 'bf16' : 'fp32';
  const reason = device === 'cpu' ? `this CPU ${isFast ? 'supports' : 'does not support'} bfloat16` : device;
  derived.push({ key: 'train.precision', value, reason });
  return value;
}

/** Mistakes in the combination of values that are valid on their own. */
function misfits({ model, depth, data, train }: Config): string[] {
  const mistakes = weightMistakes(data.train);
  if (model.headSize === undefined && model.hiddenSize % model.heads !== 0) {
    mistakes.push(
      `model.heads: ${model.heads} does not divide model.hiddenSize ${model.hiddenSize}; change one of them`,
    );
  }
  const longest = Math.max(...valuesOf(data.sequenceLength));
  if (longest > model.maxPositions) {
    mistakes.push(
      `data.sequenceLength: ${longest} is above model.maxPositions ${model.maxPositions}; ` +
        'lower it or raise model.maxPositions',
    );
  }
  const family = familyOf(model);
  if (!family.objectives.includes(data.objective)) {
    mistakes.push(
      `data.objective: ${data.objective} does not work with model.kind ${model.kind}; ` +
        `use ${family.objectives.join(' or ')}`,
    );
  }
  if (data.packing === 'documents' && objectives[data.objective].hasPairs) {
    mistakes.push(
      `data.packing: documents does not work with data.objective ${data.objective}, whose sequences are pairs; ` +
        'leave it out, or set data.objective to mlm',
    );
  }
  if (train.outputBias === 'frequencies' && family.outputBias === undefined) {
    mistakes.push(
      `train.outputBias: frequencies does not work with model.kind ${model.kind}, whose output layer has no bias; leave it out`,
    );
  }
  const { takes } = family;
  for (const key of Object.keys(model) as (keyof ModelConfig)[]) {
    const isOthers = ownSettings.has(key) && !takes.includes(key);
    if (isOthers) mistakes.push(`model.${key}: does not apply to model.kind ${model.kind}; leave it out`);
  }
  mistakes.push(...(family.mistakes?.(model) ?? []));
  mistakes.push(...depthMistakes(depth, model, train.steps));
  const undivided = valuesOf(train.batchSize).find((size) => size % train.microBatchSize !== 0);
  if (undivided !== undefined) {
    mistakes.push(
      `train.microBatchSize: ${train.microBatchSize} does not divide train.batchSize ${undivided}; ` +
        'give a number that divides it',
    );
  }
  if (train.finalLearningRate > train.peakLearningRate) {
    mistakes.push(
      `train.finalLearningRate: ${train.finalLearningRate} is above train.peakLearningRate ${train.peakLearningRate}; lower it`,
    );
  }
  if (train.schedule === 'wsd' && train.warmupRatio + train.decayRatio > 1) {
    mistakes.push(
      `train.decayRatio: ${train.decayRatio} plus train.warmupRatio ${train.warmupRatio} is above 1; lower one of them`,
    );
  }
  if (train.precision === 'fp16' && train.device === 'cpu') {
    mistakes.push('train.precision: fp16 needs a GPU; use bf16 or fp32 on the CPU');
  }
  return mistakes;
}

function warningsOf(config: Config): string[] {
  const { model, depth, train } = config;
  const warnings: string[] = [];
  if (model.norm === 'post' && depth.method !== 'dense') {
    warnings.push(
      `model.norm: post with depth.method: ${depth.method} tends to diverge at useful learning rates; ` +
        'set model.norm to pre, which the method was designed for',
    );
  }
  const late = changesOf(config).find((step) => step >= train.steps);
  if (late !== undefined) {
    warnings.push(
      `train.steps: the run ends at step ${train.steps}, but a value of batchSize, sequenceLength or maskRate starts at step ${late}; that value is never used`,
    );
  }
  const smallest = Math.min(...valuesOf(train.batchSize));
  if (train.microBatchSize === greatestDivisor(valuesOf(train.batchSize)) && 4 * train.microBatchSize < smallest) {
    warnings.push(
      `train.microBatchSize: ${counted(train.microBatchSize, 'sequence')} per pass, the greatest common divisor of batchSize, is slow; use batch sizes with a larger common divisor`,
    );
  }
  return warnings;
}
