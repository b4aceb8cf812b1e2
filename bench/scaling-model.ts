/** What one optimizer step is made of on one rank, in seconds, with the whole batch. */
export interface RankStep {
  /** A block, forward and backward; backward is two thirds of it. */
  block: number;
  /** All else that grows with the batch: embeddings and heads, forward and backward. */
  outside: number;
  /** The optimizer, which every rank does whole. */
  update: number;
  /** Of a block's gradient. */
  blockBytes: number;
  /** Of the gradient of embeddings and heads. */
  outsideBytes: number;
}

/** How ranks are connected. */
export interface Network {
  /** Bytes per second that a rank sends while it receives as many. */
  bandwidth: number;
  /** Seconds from one rank to the next. */
  latency: number;
  /** Whether a sum may go over two binary trees instead of a ring, as NCCL's do (Gloo's do not). */
  trees?: boolean;
}

/**
 * The time of a step of N ranks, each with 1/N of the batch, in which `depth` blocks run: the forward pass; then the backward
 * pass from the top, and beside it a queue of sums that go over the network one after another, each begun when its block's
 * gradient is there; then the update. A sum of n bytes takes `2(N−1)/N·n/bandwidth + 2(N−1)·latency` (a ring: each rank sends N−1
 * pieces twice), or with trees `2·n/bandwidth + 2·log₂(N)·latency` (each half of the numbers goes up and down one of them), if
 * that is less.
 */
export function stepTime(
  { block, outside, update, blockBytes, outsideBytes }: RankStep,
  depth: number,
  ranks: number,
  network: Network,
) {
  const sum = (bytes: number) => {
    if (ranks === 1) return 0;
    const ring = ((2 * (ranks - 1)) / ranks) * (bytes / network.bandwidth) + 2 * (ranks - 1) * network.latency;
    if (!network.trees) return ring;
    return Math.min(ring, 2 * (bytes / network.bandwidth) + 2 * Math.ceil(Math.log2(ranks)) * network.latency);
  };
  let now = (depth * block + outside) / ranks / 3; // forward
  now += ((2 / 3) * outside) / 2 / ranks; // the heads, backward; the embeddings come last
  let networkFree = now;
  for (let blocks = depth; blocks > 0; blocks--) {
    const part = Math.min(1, blocks); // half a block, for a depth that is a mean
    now += ((2 / 3) * part * block) / ranks;
    networkFree = Math.max(now, networkFree) + part * sum(blockBytes);
  }
  now += ((2 / 3) * outside) / 2 / ranks;
  networkFree = Math.max(now, networkFree) + sum(outsideBytes);
  const counts = 3 * sum(24); // tokens, losses, signals: a few numbers each
  return { seconds: networkFree + counts + update, waiting: networkFree - now + counts };
}
