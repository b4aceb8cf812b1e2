import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, ConfigError } from '../errors/index.ts';
import { makeFolder, writing } from '../files/index.ts';
import type { EmbeddingHead, Json, ModelConfig } from '../model/index.ts';

// The folder of sentence-transformers: the encoder, and a list of the modules that follow it. Every version reads these older names.

const [pooling, normalize] = ['1_Pooling', '2_Normalize'] as const;
const modes = { mean: 'pooling_mode_mean_tokens', first: 'pooling_mode_cls_token' } as const;

/** Writes the files beside an encoder with which `SentenceTransformer` of Python's sentence-transformers computes the same vectors. */
export function writeSentenceTransformers(
  out: string,
  head: EmbeddingHead,
  { hiddenSize, maxPositions }: Pick<ModelConfig, 'hiddenSize' | 'maxPositions'>,
): void {
  const write = (name: string, value: unknown) =>
    writing(join(out, name), () => writeFileSync(join(out, name), `${JSON.stringify(value, null, 2)}\n`));
  const folders = ['', pooling, ...(head.normalized ? [normalize] : [])];
  const types = ['Transformer', 'Pooling', 'Normalize'];
  write(
    'modules.json',
    folders.map((path, idx) => ({ idx, name: `${idx}`, path, type: `sentence_transformers.models.${types[idx]}` })),
  );
  write('sentence_bert_config.json', { max_seq_length: maxPositions, do_lower_case: false });
  write('config_sentence_transformers.json', { prompts: {}, default_prompt_name: null, similarity_fn_name: 'cosine' });
  for (const folder of folders.slice(1)) writing(out, () => makeFolder(join(out, folder)));
  write(join(pooling, 'config.json'), {
    word_embedding_dimension: hiddenSize,
    ...Object.fromEntries(Object.entries(modes).map(([name, key]) => [key, name === head.pooling])),
  });
  if (head.normalized) write(join(normalize, 'config.json'), {});
}

/**
 * What a folder of sentence-transformers does with the hidden states; undefined for another folder.
 *
 * @throws ConfigError for a module or a pooling that taper does not support.
 */
export function readSentenceTransformers(folder: string): EmbeddingHead | undefined {
  const file = join(folder, 'modules.json');
  if (!existsSync(file)) return undefined;
  const read = (path: string): unknown => {
    try {
      return JSON.parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw new CheckpointError(`${path}: is missing or not JSON; copy the file again`, { cause });
    }
  };
  const modules = read(file);
  if (!Array.isArray(modules)) throw new CheckpointError(`${file}: is not a list of modules; copy the file again`);
  const named = (modules as Json[]).map(({ type, path }) => ({ kind: `${type}`.split('.').at(-1)!, path: `${path}` }));
  const other = named.find(({ kind }) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (other)
    throw new ConfigError(
      `${file}: has the module ${other.kind}, which taper does not support; give a model with only Transformer, Pooling and Normalize`,
    );
  const own = named.find(({ kind }) => kind === 'Pooling');
  const where = join(folder, own?.path ?? pooling, 'config.json');
  const config = read(where) as Json;
  const newName: Record<string, EmbeddingHead['pooling']> = { mean: 'mean', cls: 'first' };
  const older = Object.entries(config).filter(([key, value]) => key.startsWith('pooling_mode_') && value === true);
  const found =
    config.pooling_mode === undefined
      ? older.map(([key]) => (Object.keys(modes) as EmbeddingHead['pooling'][]).find((name) => modes[name] === key))
      : [newName[`${config.pooling_mode}`]];
  const [mode] = found;
  if (found.length !== 1 || mode === undefined) {
    throw new ConfigError(
      `${where}: this pooling is not supported; give a model that pools by the mean or the first token`,
    );
  }
  return {
    kind: 'embedding',
    pooling: mode,
    normalized: named.some(({ kind }) => kind === 'Normalize'),
    dimensions: [],
  };
}
