import type { Dtype } from '../tensor/index.ts';
import { Bert } from './bert.ts';
import { Gpt } from './gpt.ts';
import type { ModelConfig, Weights } from './parameters.ts';
import type { Transformer } from './transformer.ts';

/** The model of a configuration over weights that are there. */
export function modelOf(config: ModelConfig, weights: Weights, dtype: Dtype): Transformer {
  return config.kind === 'gpt2' ? new Gpt(config, weights, dtype) : new Bert(config, weights, dtype);
}
