import { ConfigError } from '../errors/index.ts';
import { type ModelConfig, type ParameterSpec, partsOf } from '../model/index.ts';

/** Parameters that are trained at one learning rate. */
export interface RateGroup {
  specs: ParameterSpec[];
  /** Which share of the learning rate theirs is. */
  share: number;
}

/** How the parameters of a model are told apart in a fine-tuning. */
interface RateSettings {
  /** What each block's learning rate is of that of the block above it; 1 for one rate. */
  layerDecay: number;
  /** How many blocks keep their weights, from the lowest on, and the embeddings with them. */
  frozenBlocks: number;
}

/**
 * The parameters that are trained, from the embeddings up. With d the decay, the head learns at the learning rate, the last of L blocks at
 * d times that, block l at `d^(L − l)` and the embeddings at `d^(L + 1)` of it, l counted from 0.
 *
 * Source: Howard and Ruder 2018 (arXiv 1801.06146).
 *
 * @throws ConfigError where more blocks are to keep their weights than there are.
 */
export function rateGroups(
  config: ModelConfig,
  specs: readonly ParameterSpec[],
  { layerDecay, frozenBlocks }: RateSettings,
): RateGroup[] {
  const L = config.layers;
  if (frozenBlocks > L) throw new ConfigError(`--freeze ${frozenBlocks}: the model has ${L} blocks; give fewer`);
  const { blocks, outer } = partsOf(config, specs);
  const isEmbedding = ({ name }: ParameterSpec) => /\bembeddings\b/.test(name);
  const all: RateGroup[] = [
    { specs: outer.filter(isEmbedding), share: layerDecay ** (L + 1) },
    ...blocks.map((block, l) => ({ specs: [...block], share: layerDecay ** (L - l) })),
    { specs: outer.filter((spec) => !isEmbedding(spec)), share: 1 },
  ];
  return frozenBlocks > 0 ? all.slice(1 + frozenBlocks) : all;
}
