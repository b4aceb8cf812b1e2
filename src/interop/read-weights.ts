import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isOnnx } from '../checkpoints/index.ts';
import { CheckpointError } from '../errors/index.ts';
import { familyOf, type Json, type ModelConfig, type ParameterSpec } from '../model/index.ts';
import { readSafetensors, type Tensor } from '../tensor/index.ts';
import { readJson } from './read-config.ts';
import type { Relative } from './relatives.ts';

const whole = 'model.safetensors';
const index = 'model.safetensors.index.json';

/** The weights of a Hugging Face folder, under taper's names. */
export interface ImportedWeights {
  file: string;
  /** float32; those that the model has. */
  tensors: Map<string, Tensor>;
  /** Names of heads that the model does not have; they were left out. */
  leftOut: string[];
  /** Parameters of heads that the folder does not have. */
  missing: ParameterSpec[];
}

/**
 * Reads `model.safetensors`, or the shards that its index names. The tensors belong to the caller.
 *
 * @throws CheckpointError if there is none or one is broken, if a tensor of the blocks or the embeddings is missing, unknown or
 *   of another shape (each named), and if the output layer is not tied to the word embeddings.
 */
export function readWeights(
  folder: string,
  model: ModelConfig,
  specs: readonly ParameterSpec[],
  relative?: Relative,
): ImportedWeights {
  const found = new Map<string, Tensor>();
  const file = isFile(join(folder, whole)) ? whole : index;
  for (const part of filesOf(folder)) {
    for (const [name, tensor] of readSafetensors(join(folder, part))) {
      found.set(canonical(relative?.rename(name) ?? name, model), tensor);
    }
  }
  const path = join(folder, file);
  checkTied(path, found, model);
  for (const name of found.keys()) if (isBuffer(name)) take(found, name)?.free();
  relative?.complete(found, readJson(folder, 'config.json'));

  const { prefix } = familyOf(model);
  const known = new Set(specs.map(({ name }) => name));
  const unknown = [...found.keys()].filter((name) => !known.has(name));
  refuse(
    path,
    'does not belong to this model',
    unknown.filter((name) => name.startsWith(prefix)),
  );
  const missing = specs.filter(({ name }) => !found.has(name));
  refuse(
    path,
    'is missing',
    missing.filter(({ name, forPairs }) => name.startsWith(prefix) && !forPairs).map(({ name }) => name),
  );
  for (const name of unknown) take(found, name)?.free();
  const tensors = new Map(Array.from(found, ([name, tensor]) => [name, float(tensor)]));
  return { file: path, tensors, leftOut: unknown, missing };
}

function refuse(path: string, what: string, names: readonly string[]): void {
  if (names.length > 0)
    throw new CheckpointError(`${path}: ${names.join(', ')} ${what}; copy all files from one model`);
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

function filesOf(folder: string): string[] {
  if (isFile(join(folder, whole))) return [whole];
  if (isFile(join(folder, index))) {
    const parts = new Set(Object.values((readJson(folder, index).weight_map ?? {}) as Json).map(String));
    for (const part of parts) {
      if (basename(part) !== part || !isFile(join(folder, part))) {
        throw new CheckpointError(`${join(folder, index)}: names ${part}, which is missing; copy all shards`);
      }
    }
    return [...parts].sort();
  }
  const pickle = readdirSync(folder).find((name) => /\.(bin|pt|pth|pkl|ckpt)$/.test(name));
  if (pickle !== undefined) {
    throw new CheckpointError(
      `${join(folder, pickle)}: is a pickle, which can run any program when it is opened; ` +
        'in Python, save the model as safetensors: model.save_pretrained(folder, safe_serialization=True)',
    );
  }
  if (existsSync(join(folder, 'onnx'))) throw new CheckpointError(`${folder}: ${isOnnx}`);
  throw new CheckpointError(`${folder}: has no ${whole}; give a folder that save_pretrained of transformers wrote`);
}

const isHead = (name: string) =>
  /^(cls|classifier|head|decoder|lm_head|qa_outputs|dropout|score|multiple_choice)\b/.test(name);
/** Tensors in older files of transformers that are not parameters. */
const isBuffer = (name: string) => /\.(position|token_type)_ids$|\.attn\.(masked_)?bias$/.test(name);

/** taper's name of a tensor: with the prefix that a bare encoder leaves out, and the current names for those of old files. */
function canonical(name: string, model: ModelConfig): string {
  const renamed = name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
  const { prefix } = familyOf(model);
  return renamed.startsWith(prefix) || isHead(renamed) ? renamed : prefix + renamed;
}

/** Removes the output layer over the vocabulary, which a file may contain besides the word embeddings that it is tied to. */
function checkTied(path: string, found: Map<string, Tensor>, model: ModelConfig): void {
  for (const [copy, original] of Object.entries(familyOf(model).copies(model))) {
    const tensor = take(found, copy);
    if (!tensor) continue;
    const [a, b] = [tensor.toFloats(), found.get(original)?.toFloats()];
    if (b !== undefined && (a.length !== b.length || a.some((value, i) => value !== b[i]))) {
      throw new CheckpointError(
        `${path}: ${copy} is not ${original}; taper supports only models whose output layer is tied to the word embeddings`,
      );
    }
    if (b === undefined) found.set(original, tensor);
    else tensor.free();
  }
}

function take(tensors: Map<string, Tensor>, name: string): Tensor | undefined {
  const tensor = tensors.get(name);
  tensors.delete(name);
  return tensor;
}

function float(tensor: Tensor): Tensor {
  if (tensor.dtype === 'float32') return tensor;
  using original = tensor;
  return original.to('float32');
}
