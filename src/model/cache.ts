import { type AttentionCache, type Device, type Dtype, Tensor } from '../tensor/index.ts';
import { headsOf, type ModelConfig } from './parameters.ts';

/** The number of elements in the keys and values of `capacity` tokens. */
export function cacheNumbers(config: ModelConfig, capacity: number): number {
  const { keyValueHeads, headSize } = headsOf(config);
  return 2 * config.layers * keyValueHeads * headSize * capacity;
}

/** The keys and values of the tokens that a model has read, so that the next one costs only its own forward pass. */
export class KeyValueCache implements Disposable {
  /** The most tokens that it can hold. */
  readonly capacity: number;
  /** The number of tokens that it holds. */
  length = 0;
  /** Keys and values of each block, [1, K, capacity, d]. */
  readonly #blocks: readonly { keys: Tensor; values: Tensor }[];

  /** An empty cache for one sequence. It belongs to the caller, or to the scope around it. */
  constructor(config: ModelConfig, { capacity, dtype, device }: { capacity: number; dtype: Dtype; device: Device }) {
    this.capacity = capacity;
    const { keyValueHeads, headSize } = headsOf(config);
    const room = () => Tensor.zeros([1, keyValueHeads, capacity, headSize], { dtype, device });
    this.#blocks = Array.from({ length: config.layers }, () => ({ keys: room(), values: room() }));
  }

  /** What the attention of block `l` reads and writes. */
  of(l: number): AttentionCache {
    return { ...this.#blocks[l]!, length: this.length };
  }

  [Symbol.dispose](): void {
    for (const { keys, values } of this.#blocks) {
      keys.free();
      values.free();
    }
  }
}
