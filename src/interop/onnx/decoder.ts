import type { ModelConfig, Weights } from '../../model/index.ts';
import { headsOf } from '../../model/parameters.ts';
import { attention, unseen } from './attention.ts';
import type { OnnxGraph, Port } from './file.ts';
import { GraphBuilder, type Value } from './graph.ts';
import type { Precision } from './precision.ts';

// Legend: N sequences, S new tokens of each, P all of them with those before, V vocabulary; H heads of queries of size d, K of keys and values.

/** A family of decoders as an ONNX graph. */
export interface OnnxDecoder {
  /** The final hidden states [N, S, D] of new tokens at `positions` [N, S]. */
  hidden(graph: GraphBuilder, config: ModelConfig, given: { positions: Value; attend: Attend }): Value;
  /** Logits [N, S, V] over the vocabulary. */
  logits(graph: GraphBuilder, config: ModelConfig, hidden: Value): Value;
}

/**
 * Attention of the new tokens in block `l` over the cache and themselves [N, S, H·d], given their queries [N, H, S, d] and their keys and
 * values [N, K, S, d].
 */
export type Attend = (l: number, q: Value, k: Value, v: Value) => Value;

/**
 * A decoder as an ONNX graph that continues sequences: `input_ids` and `position_ids` [N, S] of new tokens, `attention_mask`
 * [N, P] of all, keys and values of those before as `past_key_values.L.key` and `.value` [N, K, P − S, d]. It gives `logits`
 * [N, S, V], of only the last `num_logits_to_keep` tokens unless that is 0, and all keys and values as `present.L.key` and
 * `.value` [N, K, P, d].
 */
export function decoderGraph(
  family: OnnxDecoder,
  config: ModelConfig,
  weights: Weights,
  { name, precision }: { name: string; precision: Precision },
): OnnxGraph {
  const graph = new GraphBuilder(weights, precision);
  const { heads } = config;
  const { keyValueHeads: K, headSize: size } = headsOf(config);
  const cached = (prefix: string, l: number, length: string) =>
    ['key', 'value'].map((part): Port => {
      return { name: `${prefix}.${l}.${part}`, type: precision.floats, shape: ['batch_size', K, length, size] };
    }) as [Port, Port];
  const pasts: Port[] = [];
  const presents: (Port & { value: Value })[] = [];
  const bias = biasOf(graph);
  const attend: Attend = (l, q, k, v) => {
    const past = cached('past_key_values', l, 'past_sequence_length');
    pasts.push(...past);
    const all = [k, v].map((now, i) => graph.op('Concat', [past[i]!.name, now], { axis: 2 }));
    presents.push(...cached('present', l, 'total_sequence_length').map((port, i) => ({ ...port, value: all[i]! })));
    const [keys, values] = all.map((x) => repeated(graph, x, { heads, keyValueHeads: K, size })) as [Value, Value];
    return attention(graph, { q, k: keys, v: values, bias }, { heads, size });
  };
  const hidden = family.hidden(graph, config, { positions: 'position_ids', attend });
  const shape = ['batch_size', 'sequence_length'];
  const ints = (input: string, dimensions: readonly string[]): Port => ({
    name: input,
    type: 'int64',
    shape: dimensions,
  });
  return graph.finish({
    name,
    inputs: [
      ints('input_ids', shape),
      ints('attention_mask', ['batch_size', 'total_sequence_length']),
      ints('position_ids', shape),
      ints('num_logits_to_keep', []),
      ...pasts,
    ],
    outputs: [
      {
        name: 'logits',
        type: 'float',
        shape: ['batch_size', 'num_logits', config.vocabSize],
        value: family.logits(graph, config, lastOf(graph, hidden)),
      },
      ...presents,
    ],
  });
}

/** [N, 1, S, P] Masks padding, and tokens that come later. */
function biasOf(graph: GraphBuilder): Value {
  const [S, P] = [graph.dimension('input_ids', 1), graph.dimension('attention_mask', 1)];
  const rows = graph.op('Unsqueeze', [graph.range(graph.op('Sub', [P, S]), P), graph.ints(1)]);
  const isLater = graph.op('Greater', [graph.range(graph.ints(0), P), rows]);
  const isPadding = graph.op('Equal', ['attention_mask', graph.int(0)]);
  return graph.maskBias(graph.op('Or', [graph.op('Unsqueeze', [isPadding, graph.ints(1, 2)]), isLater]), unseen);
}

/** Keys or values [N, K, P, d] once for each head of queries that shares them: [N, H, P, d]. */
function repeated(
  graph: GraphBuilder,
  x: Value,
  { heads, keyValueHeads, size }: { heads: number; keyValueHeads: number; size: number },
): Value {
  if (heads === keyValueHeads) return x;
  const apart = graph.op('Unsqueeze', [x, graph.ints(2)]);
  const each = graph.op('Expand', [apart, graph.ints(1, 1, heads / keyValueHeads, 1, 1)]);
  return graph.op('Reshape', [each, graph.ints(0, heads, -1, size)]);
}

/** The hidden states of the last `num_logits_to_keep` tokens; of all if that is 0. */
function lastOf(graph: GraphBuilder, hidden: Value): Value {
  const start = graph.op('Reshape', [graph.op('Neg', ['num_logits_to_keep']), graph.ints(1)]);
  return graph.op('Slice', [hidden, start, graph.dimension('input_ids', 1), graph.ints(1)]);
}
