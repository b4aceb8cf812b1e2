import { ConfigError } from '../errors/index.ts';
import { type ModelConfig, type ParameterSpec, partsOf } from '../model/index.ts';

/** Parameters that are trained at one learning rate. */
export interface RateGroup {
  specs: ParameterSpec[];
  /** Their share of the learning rate. */
  share: number;
}

/** How fine-tuning groups the parameters of a model. */
interface RateSettings {
  /** The ratio of each block's learning rate to that of the block above it; 1 for a single rate. */
  layerDecay: number;
  /** How many blocks are frozen, from the lowest up; the embeddings are frozen with them. */
  frozenBlocks: number;
}

/**
 * The trained parameters, from the embeddings up. With decay d, the head is trained at the full learning rate, the last of L
 * blocks at d times that, block l (counted from 0) at `d^(L − l)` and the embeddings at `d^(L + 1)` times that.
 *
 * Source: Howard and Ruder 2018 (arXiv 1801.06146).
 *
 * @throws ConfigError if more blocks are frozen than the model has.
 */
export function rateGroups(
  config: ModelConfig,
  specs: readonly ParameterSpec[],
  { layerDecay, frozenBlocks }: RateSettings,
): RateGroup[] {
  const L = config.layers;
  if (frozenBlocks > L)
    throw new ConfigError(`--freeze ${frozenBlocks}: the model has ${L} blocks; give ${L} or fewer`);
  const { blocks, outer } = partsOf(config, specs);
  const isEmbedding = ({ name }: ParameterSpec) => /\bembeddings\b/.test(name);
  const all: RateGroup[] = [
    { specs: outer.filter(isEmbedding), share: layerDecay ** (L + 1) },
    ...blocks.map((block, l) => ({ specs: [...block], share: layerDecay ** (L - l) })),
    { specs: outer.filter((spec) => !isEmbedding(spec)), share: 1 },
  ];
  return frozenBlocks > 0 ? all.slice(1 + frozenBlocks) : all;
}
