import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  type Checkpoint,
  type FolderKind,
  kindOf,
  openCheckpoint,
  takeWeights,
  untrainedProgress,
  writeCheckpoint,
} from '../checkpoints/index.ts';
import { loadConfig } from '../config/index.ts';
import { objectives } from '../data/index.ts';
import { CheckpointError, commandText, OutputError } from '../errors/index.ts';
import { familyOf, initialiseParameters, type ParameterSpec, parameterSpecs, type Weights } from '../model/index.ts';
import { scope, type Tensor } from '../tensor/index.ts';
import { readConfig } from './read-config.ts';
import { maxLengthOf, readTokenizer } from './read-tokenizer.ts';
import { readWeights } from './read-weights.ts';

/** More positions than this are used only if a run asks for them. */
const longestSequence = 1024;

/**
 * Makes a checkpoint from a Hugging Face folder, as `openHuggingFace` reads it.
 *
 * @throws CheckpointError for a folder that is not a Hugging Face model, or whose files are missing or broken.
 * @throws ConfigError for a model that taper does not support.
 * @throws DataError for a tokenizer that cannot be used.
 * @throws OutputError when `out` already exists or cannot be written.
 */
export function importHuggingFace(folder: string, out: string, warn: (message: string) => void): void {
  if (existsSync(out)) throw new OutputError(`${out}: already exists; give a new folder`);
  const why = whyNotImported[kindOf(folder)]?.(folder);
  if (why !== undefined) throw new CheckpointError(`${folder}: ${why}`);
  scope(() => writeCheckpoint(out, openHuggingFace(folder, warn)));
}

/**
 * Opens the model of a run (its newest whole checkpoint), of a checkpoint folder, or of a folder in Hugging Face's format, such as
 * an export; `warn` is called for newer broken checkpoints, and as `openHuggingFace` does.
 *
 * @throws CheckpointError when there is none, or it is broken.
 * @throws ConfigError for a model that taper does not support.
 * @throws DataError for a tokenizer that cannot be used.
 */
export function openModel(path: string, warn: (message: string) => void): Checkpoint {
  return kindOf(path) === 'huggingFace' ? openHuggingFace(path, warn) : openCheckpoint(path, warn);
}

/**
 * Opens a Hugging Face folder: `config.json`, `model.safetensors` (or its shards), and the tokenizer. Heads that it lacks are
 * randomly initialised from a fixed seed; heads that taper does not have are left out. `warn` is called with the names of both.
 */
function openHuggingFace(folder: string, warn: (message: string) => void): Checkpoint & { weights: Weights } {
  const { model, head, relative } = readConfig(folder, warn);
  const tokenizer = readTokenizer(folder, model, warn);
  const maxLength = maxLengthOf(folder);
  if (relative)
    warn(
      `${folder}: imported as ${relative.readAs}, which computes the same; it will be exported as ${relative.readAs}`,
    );
  const specs = parameterSpecs(model, head);
  const card = join(folder, 'README.md');
  return scope(() => {
    const { file, tensors, leftOut, missing } = readWeights(folder, model, specs, relative);
    if (leftOut.length > 0) warn(`${file}: left out weights that this model does not use: ${leftOut.join(', ')}`);
    if (missing.length > 0)
      warn(`${file}: randomly initialised, because the file lacks them: ${missing.map(({ name }) => name).join(', ')}`);
    const lacksPairs = missing.some(({ forPairs }) => forPairs);
    const objective = familyOf(model).objectives.find((name) => !(objectives[name].hasPairs && lacksPairs))!;
    const { config } = loadConfig({
      overrides: {
        model,
        data: { sequenceLength: Math.min(model.maxPositions, longestSequence), objective },
        train: { steps: 1, precision: 'fp32' },
      },
    });
    return {
      path: folder,
      config,
      ...(head && { head }),
      ...(head && maxLength !== undefined && { input: { maxLength, windows: 1 } }),
      progress: untrainedProgress,
      updates: {},
      weightsHash: '',
      weights: complete(specs, file, tensors, missing),
      tokenizerJson: tokenizer.json,
      ...(existsSync(card) && { card: readFileSync(card, 'utf8') }),
    };
  });
}

/** Why a path cannot be imported, and what to do, by what it holds. */
const whyNotImported: Partial<Record<FolderKind, (path: string) => string>> = {
  nothing: (path) => `no such folder; ${adviceFor(path)}`,
  file: (path) => `is a file; give its folder: ${commandText(['npx', 'taper-lm', 'import', dirname(path)])} --out …`,
  run: () => 'is a taper run, which every command takes as it is; it needs no import',
};

/** How to get a missing folder: by its name on the Hugging Face Hub, if it looks like one or like an address there. */
function adviceFor(folder: string): string {
  const name = folder.replace(/^https?:\/\/(?:huggingface\.co|hf\.co)\/(.*?)(?:\/tree\/main)?\/?$/, '$1');
  if (!/^\w[\w.-]*(\/\w[\w.-]*)?$/.test(name)) return 'give one that contains a config.json';
  const command = commandText(['npx', 'taper-lm', 'import', `hf:${name}`, '--out', `models/${basename(name)}`]);
  return `give one that contains a config.json; for a model on the Hugging Face Hub: ${command}`;
}

/** All weights of a model, in its order. */
function complete(
  specs: readonly ParameterSpec[],
  file: string,
  tensors: ReadonlyMap<string, Tensor>,
  missing: readonly ParameterSpec[],
): Weights {
  const present = takeWeights(
    file,
    specs.filter(({ name }) => tensors.has(name)),
    tensors,
  );
  const fresh = initialiseParameters(missing, 1, 'cpu');
  return new Map(specs.map(({ name }) => [name, (present.get(name) ?? fresh.get(name))!]));
}
