import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { commandText } from '../errors/index.ts';

/** What a path holds, as far as taper can tell. */
export type FolderKind = 'nothing' | 'file' | 'run' | 'checkpoint' | 'huggingFace' | 'empty' | 'other';

/** The most folders that a message names. */
const mostNamed = 8;

/** Tells a run, a checkpoint and a Hugging Face model from other folders; hidden files and a run's lock do not count. */
export function kindOf(path: string): FolderKind {
  if (!existsSync(path)) return 'nothing';
  if (!statSync(path).isDirectory()) return 'file';
  const config = readJson(join(path, 'config.json'));
  const has = (name: string) => existsSync(join(path, name));
  const isHuggingFace = 'model_type' in config || 'architectures' in config;
  if (!isHuggingFace && (has('checkpoints') || has('metrics.jsonl') || ('train' in config && 'model' in config)))
    return 'run';
  if (has('trainer.json') || has('optimizer.safetensors')) return 'checkpoint';
  if (isHuggingFace) return 'huggingFace';
  return readdirSync(path).every((name) => name.startsWith('.') || name === 'lock') ? 'empty' : 'other';
}

/** Whether a folder is a run with its config.json. */
export function holdsRun(path: string): boolean {
  return kindOf(path) === 'run' && existsSync(join(path, 'config.json'));
}

/** Why a path is not a checkpoint, and what to give instead. */
export function whyNoCheckpoint(path: string): string {
  const kind = kindOf(path);
  if (kind === 'nothing') return `${path}: no such folder; ${othersThan(path)}`;
  if (kind === 'file') return `${path}: is a file; give the folder of a checkpoint, or of a run`;
  if (kind === 'huggingFace' && existsSync(join(path, 'onnx'))) return `${path}: ${isOnnx}`;
  if (kind === 'huggingFace') {
    const out = freeName(join('models', basename(resolve(path))));
    const command = commandText(['npx', 'taper-lm', 'import', path, '--out', out]);
    return `${path}: is a Hugging Face folder; convert it to a checkpoint first, and give that: ${command}`;
  }
  const inside = modelsIn(path);
  if (inside.length === 0) return `${path}: trainer.json is missing; this is not a complete taper checkpoint`;
  return `${path}: is not a run or a checkpoint, but contains some; give one of them: ${named(inside)}`;
}

/** Why an ONNX export is not opened. */
export const isOnnx = 'is an export for ONNX runtimes; give the model that it was made from';

/** The models beside a missing one and in runs/, that of a similar name alone if there is one. */
function othersThan(path: string): string {
  const others = [...new Set([...modelsIn(dirname(path)), ...modelsIn('runs')])].filter(
    (folder) => kindOf(folder) === 'checkpoint' || holdsRun(folder),
  );
  const near = others.find((folder) => distance(basename(folder), basename(path)) <= 2);
  if (near !== undefined) return `did you mean ${near}?`;
  if (others.length === 0) return 'give a checkpoint, or the folder of a run';
  return `there ${others.length === 1 ? 'is' : 'are'} ${named(others)}`;
}

/** A list of paths for a message, shortened if there are many. */
export function named(paths: readonly string[]): string {
  const more = paths.length > mostNamed ? ` and ${paths.length - mostNamed} more` : '';
  return paths.slice(0, mostNamed).join(', ') + more;
}

/** The runs and checkpoints that are directly in a folder, last changed first. */
export function modelsIn(path: string): string[] {
  if (['nothing', 'file'].includes(kindOf(path))) return [];
  const changed = (folder: string) => statSync(folder).mtimeMs;
  return readdirSync(path)
    .map((name) => join(path, name))
    .filter((folder) => ['run', 'checkpoint'].includes(kindOf(folder)))
    .sort((a, b) => changed(b) - changed(a));
}

/** The first of `path`, `path-2`, `path-3` … that does not exist. */
export function freeName(path: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? path : `${path}-${number}`;
    if (!existsSync(name)) return name;
  }
}

/** The object in a JSON file; empty if there is none. */
function readJson(file: string): object {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
