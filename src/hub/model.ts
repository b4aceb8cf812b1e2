import { dirname } from 'node:path';
import { DataError } from '../errors/index.ts';
import type { HubOptions } from './fetch.ts';
import { parseHubName } from './names.ts';
import { openRepository } from './repository.ts';

const weights = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;
/** The files besides the weights: configuration, tokenizer, card, and what a model for embeddings does with hidden states. */
const descriptions =
  /^(config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|modules)\.json$|^(vocab|merges)\.txt$|^README\.md$|^\d+_Pooling\/config\.json$/;

/**
 * Downloads a model of the Hub into the cache: safetensors, configuration and tokenizer. Returns its name with its commit, and the folder.
 *
 * @throws DataError where there is none of that name, or it has no safetensors.
 */
export async function fetchModel(name: string, options: HubOptions): Promise<{ name: string; folder: string }> {
  const hubName = parseHubName(name, 'model');
  const repository = await openRepository(hubName, options);
  const paths = repository.files.map(({ path }) => path);
  const fail = (reason: string) => new DataError(`${name}: ${reason}`);
  if (!paths.includes('config.json'))
    throw fail('has no config.json; give a model saved with save_pretrained of transformers');
  const own = paths.filter((path) => weights.test(path));
  if (own.length === 0) {
    const other = paths.find((path) => /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|safetensors)$/.test(path));
    throw fail(
      `has no model.safetensors${other ? `, only ${other}` : ''}; give a model with safetensors weights, such as a converted copy`,
    );
  }
  // Where the weights are whole, shards of them are a copy.
  const whole = own.includes('model.safetensors') ? ['model.safetensors'] : own;
  let folder = '';
  for (const path of [...paths.filter((each) => descriptions.test(each)), ...whole]) {
    const file = await repository.fetch(path);
    if (path === 'config.json') folder = dirname(file);
  }
  return { name: repository.name, folder };
}
