import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import {
  ConfigReader,
  type Family,
  families,
  type Head,
  type HuggingFace,
  type Json,
  type ModelSettings,
} from '../model/index.ts';
import { type Relative, relatives } from './relatives.ts';
import { readSentenceTransformers } from './sentence-transformers.ts';

/** The model that a `config.json` describes. */
export interface ImportedConfig {
  model: ModelSettings;
  /** For a model that is imported as another `model_type`. */
  relative?: Relative;
  /** For an architecture that classifies texts or tokens, or a folder of sentence-transformers. */
  head?: Head;
}

/**
 * The JSON of a file in a folder.
 *
 * @throws CheckpointError if it is missing or broken.
 */
export function readJson(folder: string, name: string): Json {
  const path = join(folder, name);
  if (!existsSync(path)) {
    throw new CheckpointError(`${folder}: has no ${name}; give a folder that save_pretrained of transformers wrote`);
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new CheckpointError(`${path}: is not JSON; copy the file again`, { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CheckpointError(`${path}: is not a JSON object; copy the file again`);
  }
  return json as Json;
}

/**
 * The model that a Hugging Face `config.json` of one of the families describes. Missing settings get the defaults of
 * transformers; `warn` is called if sizes are among them.
 *
 * @throws CheckpointError if it is missing or broken.
 * @throws ConfigError for a model that taper does not support.
 */
export function readConfig(folder: string, warn: (message: string) => void): ImportedConfig {
  const file = join(folder, 'config.json');
  const given = readJson(folder, 'config.json');
  const type = given.model_type;
  const known = Object.values<Family>(families).map((family) => ({
    family,
    types: Object.keys(family.huggingFace.defaults),
  }));
  const relative = relatives[String(type)];
  const found = known.find(({ types }) => types.includes(relative?.readAs ?? (type as string)));
  if (found === undefined) {
    const what = type === undefined ? 'is missing; it must be' : `${JSON.stringify(type)} is not`;
    const names = [...known.flatMap(({ types }) => types), ...Object.keys(relatives)];
    throw new ConfigError(`${file}: model_type ${what} one of ${names.join(', ')}`);
  }
  const { family } = found;
  const whole = withDefaults(file, given, { type: type as string, ...(relative ?? family.huggingFace) }, warn);
  const json = relative?.config(new ConfigReader(file, whole)) ?? whole;
  for (const [key, value] of Object.entries(family.huggingFace.fixed)) {
    if (json[key] !== undefined && json[key] !== value) {
      throw new ConfigError(
        `${file}: ${key} ${JSON.stringify(json[key])} is not supported; taper supports only ${value}`,
      );
    }
  }
  const reader = new ConfigReader(file, json);
  const model = family.huggingFace.read(reader, relative?.readAs ?? (type as string));
  if (model.headSize === undefined && model.hiddenSize % model.heads !== 0) {
    throw new ConfigError(
      `${file}: ${model.heads} heads do not divide the hidden size ${model.hiddenSize}; copy the model's own file`,
    );
  }
  const head = family.takesHeads ? (readSentenceTransformers(folder) ?? headOf(reader)) : undefined;
  return { model: model as ModelSettings, ...(head && { head }), ...(relative && { relative }) };
}

type Sizes = Pick<HuggingFace, 'defaults' | 'otherNames' | 'width' | 'heads'>;

/**
 * A config with its missing sizes filled in. The shapes of the weights show whether these fit, except for the number of heads: it
 * gets its default only with the default hidden size.
 */
function withDefaults(
  file: string,
  given: Json,
  { type, defaults, otherNames = {}, width, heads }: Sizes & { type: string },
  warn: (message: string) => void,
): Json {
  const json = { ...given };
  const sizes = defaults[type]!;
  const added: string[] = [];
  for (const [key, value] of Object.entries(sizes)) {
    // transformers takes the other name if both exist.
    const other = otherNames[key];
    json[key] = (other === undefined ? undefined : given[other]) ?? given[key] ?? undefined;
    if (json[key] !== undefined) continue;
    json[key] = value;
    added.push(key);
  }
  if (added.includes(heads) && json[width] !== sizes[width]) {
    throw new ConfigError(`${file}: ${heads} is missing and cannot be inferred from the weights; add it`);
  }
  const taken = added.map((key) => `${key} ${json[key]}`);
  if (taken.length > 0) warn(`${file}: sizes are missing; using the defaults of transformers: ${taken.join(', ')}`);
  return json;
}

function headOf({ file, json }: ConfigReader): Head | undefined {
  const architectures = json.architectures;
  const [architecture] = Array.isArray(architectures) ? (architectures as unknown[]) : [];
  if (typeof architecture !== 'string') return undefined;
  if (architecture.endsWith('ForTokenClassification')) return { kind: 'token', labels: labelsOf(file, json) };
  if (!architecture.endsWith('ForSequenceClassification')) return undefined;
  const labels = labelsOf(file, json);
  if (json.problem_type === 'multi_label_classification') {
    const thresholds = thresholdsOf(file, json, labels.length);
    return { kind: 'multi-label', labels, ...(thresholds && { thresholds }) };
  }
  const isRegression = json.problem_type === 'regression' || labels.length === 1;
  return { kind: isRegression ? 'regression' : 'single-label', labels };
}

/** The thresholds that an export of taper has for its labels. */
function thresholdsOf(file: string, { thresholds }: Json, length: number): number[] | undefined {
  if (thresholds === undefined) return undefined;
  const isList = Array.isArray(thresholds) && thresholds.every((one) => typeof one === 'number');
  if (isList && thresholds.length === length) return thresholds as number[];
  throw new ConfigError(
    `${file}: thresholds is not a list of ${length} numbers, one per label; export the model again`,
  );
}

/** The labels in the order of their ids: `LABEL_0`, `LABEL_1` … if they have no names, and two if their number is not given. */
function labelsOf(file: string, json: Json): string[] {
  const length = new ConfigReader(file, { num_labels: 2, ...json }).count('num_labels');
  if (json.id2label === undefined || json.id2label === null) {
    return Array.from({ length }, (_, id) => `LABEL_${id}`);
  }
  const names = json.id2label as Json;
  const ids = Object.keys(names);
  const labels = ids.map((_, id) => names[id]);
  if (labels.length === 0 || labels.some((label) => label === undefined)) {
    throw new ConfigError(`${file}: id2label has the ids ${ids.join(', ')}; number its labels from 0 up, each id once`);
  }
  if (json.num_labels !== undefined && length !== labels.length) {
    throw new ConfigError(`${file}: num_labels is ${length}, but id2label has ${labels.length}; make them the same`);
  }
  return labels.map(String);
}
