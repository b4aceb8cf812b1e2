import type { GraphBuilder, Value } from './graph.ts';

// Legend: N sequences, T queries, P keys, H heads of size d.

/** Added to the scores of keys that are not to be seen: `e` to that power is 0, and two of them are numbers that float16 has. */
export const unseen = -1e4;

/** Heads that lie side by side [N, T, H·d], apart: [N, H, T, d]. */
export function splitHeads(graph: GraphBuilder, x: Value, heads: number, size: number): Value {
  return graph.op('Transpose', [graph.op('Reshape', [x, graph.ints(0, 0, heads, size)])], { perm: [0, 2, 1, 3] });
}

/** `softmax(q·kᵀ/√d + bias)·v`, the heads side by side [N, T, H·d], of queries [N, H, T, d] and keys and values [N, H, P, d]. */
export function attention(
  graph: GraphBuilder,
  { q, k, v, bias }: { q: Value; k: Value; v: Value; bias: Value },
  { heads, size }: { heads: number; size: number },
): Value {
  const k_NHdP = graph.op('Transpose', [k], { perm: [0, 1, 3, 2] });
  const scores = graph.op('Mul', [graph.op('MatMul', [q, k_NHdP]), graph.float(1 / Math.sqrt(size))]);
  const weights = graph.op('Softmax', [graph.op('Add', [scores, bias])], { axis: -1 });
  const context = graph.op('Transpose', [graph.op('MatMul', [weights, v])], { perm: [0, 2, 1, 3] });
  return graph.op('Reshape', [context, graph.ints(0, 0, heads * size)]);
}
