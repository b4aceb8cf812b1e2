import {
  type BlockNames,
  bertNames,
  type EmbeddingHead,
  type Head,
  type ModelConfig,
  type Weights,
} from '../model/index.ts';
import type { OnnxGraph } from './onnx-file.ts';
import { GraphBuilder, type Value } from './onnx-graph.ts';

// Legend: N sequences ("batch"), T positions ("sequence"), D model width, H heads, V vocabulary.

/** Added to the attention scores of padding. */
const paddingBias = -1e9;

/**
 * BERT as an ONNX graph of `input_ids`, `attention_mask` and `token_type_ids` [N, T], of any N and T. It gives `logits` [N, T, V]
 * of the vocabulary without a `head`, [N, labels] of a classifier of texts, [N, T, labels] of one of tokens; or
 * `last_hidden_state` [N, T, D] and `sentence_embedding` [N, D].
 */
export function bertGraph(
  config: ModelConfig,
  weights: Weights,
  { head, quantised }: { head: Head | undefined; quantised: boolean },
): OnnxGraph {
  const graph = new GraphBuilder(weights, quantised);
  const norm = (x: Value, name: string) => graph.layerNorm(x, name, config.layerNormEpsilon);
  const mask = graph.op('Cast', ['attention_mask'], { to: 1 });
  const isPadding = graph.op('Sub', [graph.float(1), graph.op('Unsqueeze', [mask, graph.ints(1, 2)])]);
  const bias = graph.op('Mul', [isPadding, graph.float(paddingBias)]);

  let x = embeddings(graph, config, norm);
  for (let l = 0; l < config.layers; l++) x = block(graph, config, bertNames.block(config, l), x, bias, norm);
  if (config.norm === 'pre') x = norm(x, bertNames.finalNorm);

  const shape = ['batch', 'sequence'] as const;
  const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
    name,
    type: 'int64' as const,
    shape,
  }));
  const output = (name: string, value: Value, dimensions: readonly (number | string)[]) => ({
    name,
    value,
    type: 'float' as const,
    shape: ['batch', ...dimensions],
  });
  const outputs = () => {
    if (head === undefined)
      return [output('logits', maskedLogits(graph, config, x, norm), ['sequence', config.vocabSize])];
    if (head.kind === 'embedding') {
      return [
        output('last_hidden_state', x, ['sequence', config.hiddenSize]),
        output('sentence_embedding', embeddingOf(graph, head, x, mask), [config.hiddenSize]),
      ];
    }
    if (head.kind === 'token')
      return [output('logits', graph.linear(x, bertNames.classifier), ['sequence', head.labels.length])];
    return [output('logits', classLogits(graph, x), [head.labels.length])];
  };
  return graph.finish({ name: 'bert', inputs, outputs: outputs() });
}

type Norm = (x: Value, name: string) => Value;

function embeddings(graph: GraphBuilder, config: ModelConfig, norm: Norm): Value {
  const length = graph.op('Gather', [graph.op('Shape', ['input_ids']), graph.ints(1)]);
  const positions = graph.op('Slice', [graph.weight(bertNames.positions), graph.ints(0), length, graph.ints(0)]);
  const words = graph.embedding(bertNames.words, 'input_ids');
  const types = graph.op('Gather', [graph.weight(bertNames.types), 'token_type_ids']);
  const sum = graph.op('Add', [graph.op('Add', [words, types]), positions]);
  return config.norm === 'pre' ? sum : norm(sum, bertNames.embeddingsNorm);
}

function block(graph: GraphBuilder, config: ModelConfig, names: BlockNames, x: Value, bias: Value, norm: Norm): Value {
  const add = (stream: Value, branch: Value) => graph.op('Add', [stream, branch]);
  const feedForward = (input: Value) =>
    graph.linear(activation(graph, config, graph.linear(input, names.ffnInner)), names.ffnOutput);
  if (config.norm === 'pre') {
    const h = add(x, attention(graph, config, names, norm(x, names.attentionNorm), bias));
    return add(h, feedForward(norm(h, names.ffnNorm)));
  }
  const h = norm(add(x, attention(graph, config, names, x, bias)), names.attentionNorm);
  return norm(add(h, feedForward(h)), names.ffnNorm);
}

function attention(
  graph: GraphBuilder,
  { heads, hiddenSize: D }: ModelConfig,
  names: BlockNames,
  x: Value,
  bias: Value,
): Value {
  const split = (name: string, perm: readonly number[]) =>
    graph.op('Transpose', [graph.op('Reshape', [graph.linear(x, name), graph.ints(0, 0, heads, D / heads)])], { perm });
  const [query, key, value] = names.queryKeyValue as [string, string, string];
  const q_NHTd = split(query, [0, 2, 1, 3]);
  const k_NHdT = split(key, [0, 2, 3, 1]);
  const v_NHTd = split(value, [0, 2, 1, 3]);
  const scores = graph.op('Mul', [graph.op('MatMul', [q_NHTd, k_NHdT]), graph.float(1 / Math.sqrt(D / heads))]);
  const weights = graph.op('Softmax', [graph.op('Add', [scores, bias])], { axis: -1 });
  const context = graph.op('Transpose', [graph.op('MatMul', [weights, v_NHTd])], { perm: [0, 2, 1, 3] });
  return graph.linear(graph.op('Reshape', [context, graph.ints(0, 0, D)]), names.attentionOutput);
}

/** `x/2 · (1 + erf(x/√2))`, or `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`. */
function activation(graph: GraphBuilder, { activation: kind }: ModelConfig, x: Value): Value {
  const times = (a: Value, b: Value) => graph.op('Mul', [a, b]);
  const inner = () => {
    if (kind === 'gelu') return graph.op('Erf', [times(x, graph.float(Math.SQRT1_2))]);
    const cube = times(times(times(x, x), x), graph.float(0.044715));
    return graph.op('Tanh', [times(graph.op('Add', [x, cube]), graph.float(Math.sqrt(2 / Math.PI)))]);
  };
  return times(times(x, graph.float(0.5)), graph.op('Add', [inner(), graph.float(1)]));
}

function maskedLogits(graph: GraphBuilder, config: ModelConfig, x: Value, norm: Norm): Value {
  const inner = activation(graph, config, graph.linear(x, 'cls.predictions.transform.dense'));
  return graph.tied(norm(inner, 'cls.predictions.transform.LayerNorm'), bertNames.words, 'cls.predictions.bias');
}

function classLogits(graph: GraphBuilder, x: Value): Value {
  return graph.linear(graph.op('Tanh', [graph.linear(firstOf(graph, x), bertNames.pooler)]), bertNames.classifier);
}

/** The vector of each text. */
function embeddingOf(graph: GraphBuilder, { pooling, normalized }: EmbeddingHead, x: Value, mask: Value): Value {
  const pooled = pooling === 'mean' ? meanOf(graph, x, mask) : firstOf(graph, x);
  if (!normalized) return pooled;
  const squares = graph.op('ReduceSum', [graph.op('Mul', [pooled, pooled]), graph.ints(1)], { keepdims: 1 });
  return graph.op('Div', [pooled, graph.op('Max', [graph.op('Sqrt', [squares]), graph.float(1e-12)])]);
}

/** The hidden state of the first token. */
function firstOf(graph: GraphBuilder, x: Value): Value {
  return graph.op('Squeeze', [graph.op('Gather', [x, graph.ints(0)], { axis: 1 }), graph.ints(1)]);
}

/** The mean of the hidden states of a text's own tokens. */
function meanOf(graph: GraphBuilder, x: Value, mask: Value): Value {
  const own = graph.op('Unsqueeze', [mask, graph.ints(2)]);
  const sum = graph.op('ReduceSum', [graph.op('Mul', [x, own]), graph.ints(1)], { keepdims: 0 });
  const count = graph.op('ReduceSum', [own, graph.ints(1)], { keepdims: 0 });
  return graph.op('Div', [sum, graph.op('Max', [count, graph.float(1)])]);
}
