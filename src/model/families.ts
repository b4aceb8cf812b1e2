import type { Device, Tensor } from '../tensor/index.ts';
import { bert } from './families/bert.ts';
import { gpt2 } from './families/gpt2.ts';
import { llama } from './families/llama.ts';
import { modernbert } from './families/modernbert.ts';
import type { Family } from './family.ts';
import type { Head } from './heads.ts';
import { initialiseParameters, type ModelConfig, type ParameterSpec, type Parts, type Weights } from './parameters.ts';

/** The families of models that a configuration can name. */
export const families = { modernbert, llama, bert, gpt2 } satisfies Record<string, Family>;

/** The family of a model. */
export const familyOf = ({ kind }: Pick<ModelConfig, 'kind'>): Family => families[kind as keyof typeof families];

/** The parameters of a model: with its pre-training heads, or with another one instead of them. */
export function parameterSpecs(config: ModelConfig, head?: Head): ParameterSpec[] {
  const specs = familyOf(config).parameters(config, head);
  const inBlocks = new Set(partsOf(config, specs).blocks.flat());
  return specs.map((spec) => (inBlocks.has(spec) && spec.shape.length === 2 ? { matrices: 1, ...spec } : spec));
}

/** Sorts the parameters of a model into those of each block and those outside the blocks. */
export function partsOf(config: ModelConfig, specs: readonly ParameterSpec[]): Parts {
  const { blockPrefix } = familyOf(config);
  const prefixes = Array.from({ length: config.layers }, (_, l) => blockPrefix(config, l));
  return {
    blocks: prefixes.map((prefix) => specs.filter(({ name }) => name.startsWith(prefix))),
    outer: specs.filter(({ name }) => !prefixes.some((prefix) => name.startsWith(prefix))),
  };
}

/** Makes block `l` of a PreLN model the identity: both of its branches end in zeros. */
export function makeIdentity(config: ModelConfig, weights: Weights, l: number): void {
  for (const name of familyOf(config).branchEnds(config, l)) {
    for (const part of ['weight', 'bias']) weights.get(`${name}.${part}`)?.mul_(0);
  }
}

/**
 * The float32 weights of a new model: matrices from N(0, 0.02²) as BERT's, embeddings from N(0, embeddingStd²), under
 * PreLN the last layer of each branch from N(0, 0.02²/(2L)), biases 0, norm weights 1; a pure function of `seed`. The
 * tensors belong to the caller (or to the scope outside).
 *
 * Source: Devlin et al. 2019; for PreLN DeepSpeedExamples' bing_bert/nvidia/modelingpreln.py, and GPT-2 before it.
 */
export function initialise(config: ModelConfig, seed: number, device: Device = 'cpu'): Map<string, Tensor> {
  return initialiseParameters(parameterSpecs(config), seed, device);
}
