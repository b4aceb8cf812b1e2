import type { Gate } from '../depth/index.ts';
import {
  type AttentionCache,
  type AttentionOptions,
  type Documents,
  type DropoutOptions,
  type Dtype,
  Tensor,
} from '../tensor/index.ts';
import type { KeyValueCache } from './cache.ts';
import type { ModelConfig, Weights } from './parameters.ts';

// Legend: N sequences, T positions, D model width, H heads, d = D/H, F feed-forward width.

/** How a forward pass runs; without it the model is dense, without scaling or dropout. */
export interface Pass {
  /** One gate per block: the sequences that it runs on. */
  gates: readonly Gate[];
  /** The factor of each block's branches when it runs: `1/p_l`. */
  branchScales: readonly number[];
  /** The dropout seed of one place in one block; without it there is no dropout. */
  dropoutSeed?(block: number, place: DropoutPlace): number;
  /**
   * For a pass over part of a micro-batch: how many sequences come before this part among those that a block (or the layers
   * outside the blocks) runs on. Default: 0.
   */
  firstRow?(block: number): number;
}

/** The places in a block with their own dropout mask. Embeddings, and the input of a head, use a block number after the last. */
export const DropoutPlace = { attention: 0, attentionOutput: 1, ffnOutput: 2, embeddings: 3, pooled: 0 } as const;
export type DropoutPlace = (typeof DropoutPlace)[keyof typeof DropoutPlace];
/** How many of them a block has. */
export const placesPerBlock = 4;

/** What a forward pass reads but never changes. */
export interface Model {
  readonly config: ModelConfig;
  /** float32 */
  readonly weights: Weights;
  /** The precision of matrix products and attention; the residual stream, norms and losses are float32. */
  readonly dtype: Dtype;
}

/** The context of the tokens that a block works on. */
export interface Context {
  /** For each sequence, the lengths of its documents; absent if each sequence is one document. */
  documents?: Documents;
  /** The keys and values of the tokens before them. */
  cache?: KeyValueCache;
}

/** A branch of a block: what is added to the residual stream [N, T, D] float32. */
export interface Branch<How extends unknown[] = []> {
  /** The norm of PreLN: returns the input of the branch, and the stream to continue with. */
  before?(stream: Tensor): [Tensor, Tensor];
  /** The branch, before scale and dropout. */
  of(x: Tensor, ...how: How): Tensor;
  /** Applied to the sum before it becomes the stream again: the norm of PostLN. */
  after?(sum: Tensor): Tensor;
}

/** The two branches of a block, with its weights. */
export interface Branches {
  attention: Branch<[{ documents: Documents | undefined; cache: AttentionCache | undefined } & DropoutOptions]>;
  feedForward: Branch;
}

/** What the switchable block needs from a model. */
export interface BlockModel extends Model {
  branches(l: number): Branches;
}

/** `x·Wᵀ + b` in the model's precision, without b if the layer has none; several layers give their results side by side. */
export function linear(x: Tensor, { weights, dtype }: Model, ...names: string[]): Tensor {
  const all = (part: string) => names.flatMap((name) => weights.get(`${name}.${part}`) ?? []);
  return x.to(dtype).linear(all('weight'), all('bias'));
}

/** The same in float32, for a head: with few outputs this costs nothing and avoids rounding. */
export function preciseLinear(x: Tensor, { config, weights }: Model, name: string): Tensor {
  return linear(x, { config, weights, dtype: 'float32' }, name);
}

/** Layer normalisation in float32, its result in `dtype`. */
export function layerNorm(x: Tensor, { config, weights }: Model, name: string, dtype: Dtype = 'float32'): Tensor {
  const weight = weights.get(`${name}.weight`)!;
  return x.to('float32').layerNorm(weight, weights.get(`${name}.bias`), config.layerNormEpsilon, dtype);
}

/** RMSNorm in float32, its result in `dtype`. */
export function rmsNorm(x: Tensor, { config, weights }: Model, name: string, dtype: Dtype = 'float32'): Tensor {
  return x.to('float32').rmsNorm(weights.get(`${name}.weight`)!, config.layerNormEpsilon, dtype);
}

/** Layer normalisation of the stream in the model's precision, and the stream to continue with. */
export function layerNormBeside(stream: Tensor, { config, weights, dtype }: Model, name: string): [Tensor, Tensor] {
  const weight = weights.get(`${name}.weight`)!;
  return stream.layerNormBeside(weight, weights.get(`${name}.bias`), config.layerNormEpsilon, dtype);
}

/** RMSNorm in the same way. */
export function rmsNormBeside(stream: Tensor, { config, weights, dtype }: Model, name: string): [Tensor, Tensor] {
  return stream.rmsNormBeside(weights.get(`${name}.weight`)!, config.layerNormEpsilon, dtype);
}

/** Causal attention over queries, keys and values side by side; with a cache, also over the tokens read before. */
export function causalAttention(
  qkv: Tensor,
  heads: number,
  { cache, ...how }: AttentionOptions & { cache?: AttentionCache | undefined },
): Tensor {
  return cache ? qkv.cachedAttention(heads, cache, how.rotary) : qkv.attention(heads, { ...how, causal: true });
}

/** The dropout at one place: none outside training. */
export function dropoutAt(rate: number, pass: Pass | undefined, block: number, place: DropoutPlace) {
  if (!pass?.dropoutSeed || rate === 0) return { p: 0, seed: 0, firstRow: 0 };
  return { p: rate, seed: pass.dropoutSeed(block, place), firstRow: pass.firstRow?.(block) ?? 0 };
}

/** The input of a head, [rows, D], after its dropout. */
export function dropoutBeforeHead(x: Tensor, { config }: Model, pass: Pass | undefined): Tensor {
  const { p, seed, firstRow } = dropoutAt(config.dropout, pass, config.layers, DropoutPlace.pooled);
  return x.dropout(p, seed, firstRow);
}

/**
 * The switchable block. With gate `G ∈ {0, 1}` and scale `s = 1/p`, PreLN: `h = x + s·Attn(LN(x))`, `y = h + s·FFN(LN(h))`;
 * PostLN: `h = LN(x + s·Attn(x))`, `y = LN(h + s·FFN(h))`. The branches belong to the family; the block knows nothing else about
 * it. One gate covers both branches: `G = 0` gives `x` itself, with no work forward or backward. With one gate per sequence, the
 * block runs only on the kept sequences and leaves the others as they are. x: [N, T, D] float32.
 *
 * Source: Zhang and He 2020 (arXiv 2010.13369), Eq. 1.
 */
export function switchableBlock(x: Tensor, l: number, model: BlockModel, context: Context = {}, pass?: Pass): Tensor {
  const gate = pass?.gates[l] ?? true;
  if (gate === false) return x;
  if (gate === true) return block(x, l, model, context, pass);
  const kept = Tensor.from(Int32Array.from(gate), [gate.length], { device: x.device }).to('int64');
  const { documents } = context;
  const ofKept = documents && { documents: Array.from(gate, (n) => documents[n]!) };
  return x.mapRows(kept, (rows) => block(rows, l, model, ofKept ?? {}, pass));
}

/** The block on all given sequences. */
function block(x: Tensor, l: number, model: BlockModel, context: Context, pass: Pass | undefined): Tensor {
  const { dropout, attentionDropout } = model.config;
  const scale = pass?.branchScales[l] ?? 1;
  const { attention, feedForward } = model.branches(l);
  const join = <How extends unknown[]>(x: Tensor, branch: Branch<How>, place: DropoutPlace, ...how: How) => {
    const [input, stream] = branch.before?.(x) ?? [x, x];
    const sum = stream.addDropout(branch.of(input, ...how), { scale, ...dropoutAt(dropout, pass, l, place) });
    return branch.after?.(sum) ?? sum;
  };
  const how = {
    documents: context.documents,
    cache: context.cache?.of(l),
    ...dropoutAt(attentionDropout, pass, l, DropoutPlace.attention),
  };
  const h = join(x, attention, DropoutPlace.attentionOutput, how);
  return join(h, feedForward, DropoutPlace.ffnOutput);
}
