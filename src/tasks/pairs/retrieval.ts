import { mean } from '../../averages.ts';
import { noGrad, scope, Tensor } from '../../tensor/index.ts';
import type { Scores } from '../task.ts';

/** The ranks that count. */
const depth = 10;
/** Queries compared with all documents at once. */
const chunk = 256;

/**
 * Retrieval by cosine similarity: the first text of each pair is a query for its second text among the second texts of all pairs.
 * Recall at 1 and at 10 is the fraction of a query's documents among the top 1 and 10; nDCG at 10 is `Σ 1/log₂(1 + rank)` over a
 * query's documents, divided by its maximum. Equal texts are one query, or one document; a query does not find itself.
 */
export function retrieval(
  vectors: readonly (readonly Float32Array[])[],
  texts: readonly (readonly string[])[],
): Scores {
  const [queries, documents] = [0, 1].map((place) => {
    const first = new Map<string, number>();
    for (const [i, own] of texts.entries()) {
      const text = own[place]!;
      if (!first.has(text)) first.set(text, i);
    }
    return first;
  }) as [Map<string, number>, Map<string, number>];
  const names = [...documents.keys()];
  const numbers = new Map(names.map((text, i) => [text, i]));
  const relevant = new Map<string, Set<number>>();
  for (const [query, document] of texts) {
    const own = relevant.get(query!) ?? new Set();
    relevant.set(query!, own.add(numbers.get(document!)!));
  }
  const ranks: number[][] = [];
  const all = [...queries];
  for (let start = 0; start < all.length; start += chunk) {
    const some = all.slice(start, start + chunk);
    const cosines = products(
      some.map(([, i]) => vectors[i]![0]!),
      [...documents.values()].map((i) => vectors[i]![1]!),
    );
    for (const [row, [text]] of some.entries()) {
      const own = cosines.subarray(row * names.length, (row + 1) * names.length);
      const self = numbers.get(text);
      if (self !== undefined && !relevant.get(text)!.has(self)) own[self] = Number.NEGATIVE_INFINITY;
      ranks.push(ranksOf(own, [...relevant.get(text)!]));
    }
  }
  const within = (most: number) => mean(ranks.map((own) => own.filter((rank) => rank <= most).length / own.length));
  return { 'ndcg@10': mean(ranks.map(ndcg)), 'recall@1': within(1), [`recall@${depth}`]: within(depth) };
}

/** The cosines of all pairs of two lists of vectors, [a, b] flat. */
function products(a: readonly Float32Array[], b: readonly Float32Array[]): Float32Array {
  const matrix = (vectors: readonly Float32Array[]) => {
    const D = vectors[0]!.length;
    const values = new Float32Array(vectors.length * D);
    for (const [i, vector] of vectors.entries()) {
      const length = Math.hypot(...vector) || 1;
      values.set(
        vector.map((x) => x / length),
        i * D,
      );
    }
    return Tensor.from(values, [vectors.length, D]);
  };
  return scope(() => noGrad(() => matrix(a).linear(matrix(b)).toFloats()));
}

/** The ranks, from 1, of some documents among all, highest cosine first. */
function ranksOf(cosines: Float32Array, documents: readonly number[]): number[] {
  return documents.map((document) => {
    const own = cosines[document]!;
    let rank = 1;
    for (const [i, other] of cosines.entries()) if (other > own || (other === own && i < document)) rank += 1;
    return rank;
  });
}

function ndcg(ranks: readonly number[]): number {
  const gain = (rank: number) => 1 / Math.log2(1 + rank);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const found = sum(ranks.filter((rank) => rank <= depth).map(gain));
  return found / sum(Array.from({ length: Math.min(depth, ranks.length) }, (_, i) => gain(i + 1)));
}
