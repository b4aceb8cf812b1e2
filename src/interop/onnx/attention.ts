import type { GraphBuilder, Value } from './graph.ts';

// Legend: N sequences, T queries, P keys, H heads of size d.

/** Added to the scores of masked keys: `e` to that power is 0, and the sum of two such masks still fits in float16. */
export const unseen = -1e4;

/** Splits [N, T, H·d] into heads [N, H, T, d]. */
export function splitHeads(graph: GraphBuilder, x: Value, heads: number, size: number): Value {
  return graph.op('Transpose', [graph.op('Reshape', [x, graph.ints(0, 0, heads, size)])], { perm: [0, 2, 1, 3] });
}

/**
 * `softmax(q·kᵀ/√d + bias)·v`, with the heads side by side [N, T, H·d], of queries [N, H, T, d] and keys and values [N, H, P, d]. Queries are
 * scaled before the product, which could overflow in float16.
 */
export function attention(
  graph: GraphBuilder,
  { q, k, v, bias }: { q: Value; k: Value; v: Value; bias: Value },
  { heads, size }: { heads: number; size: number },
): Value {
  const k_NHdP = graph.op('Transpose', [k], { perm: [0, 1, 3, 2] });
  const scaled = graph.op('Mul', [q, graph.float(1 / Math.sqrt(size))]);
  const scores = graph.op('MatMul', [scaled, k_NHdP]);
  const weights = graph.op('Softmax', [graph.op('Add', [scores, bias])], { axis: -1 });
  const context = graph.op('Transpose', [graph.op('MatMul', [weights, v])], { perm: [0, 2, 1, 3] });
  return graph.op('Reshape', [context, graph.ints(0, 0, heads * size)]);
}
