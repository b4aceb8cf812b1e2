import { type BlockNames, bertNames, type ModelConfig } from '../../model/index.ts';
import { activation } from './activation.ts';
import type { OnnxEncoder } from './encoder.ts';
import type { GraphBuilder, Value } from './graph.ts';

// Legend: N sequences ("batch"), T positions ("sequence"), D model width, H heads, V vocabulary.

/** BERT: what PreLN and PostLN have in common is all but the order; transformers.js knows both as `bert`. */
export const bert: OnnxEncoder = {
  type: 'bert',
  classes: 'Bert',
  inputs: ['token_type_ids'],
  hidden(graph, config, bias) {
    const norm = normOf(graph, config);
    let x = embeddings(graph, config, norm);
    for (let l = 0; l < config.layers; l++) x = block(graph, config, bertNames.block(config, l), x, bias, norm);
    return config.norm === 'pre' ? norm(x, bertNames.finalNorm) : x;
  },
  maskedLogits(graph, config, x) {
    const inner = activation(graph, config.activation, graph.linear(x, bertNames.transform));
    const normed = normOf(graph, config)(inner, bertNames.transformNorm);
    return graph.tied(normed, bertNames.words, bertNames.outputBias);
  },
  classLogits: (graph, _, first) =>
    graph.linear(graph.op('Tanh', [graph.linear(first, bertNames.pooler)]), bertNames.classifier),
  tagLogits: (graph, _, x) => graph.linear(x, bertNames.classifier),
};

type Norm = (x: Value, name: string) => Value;

const normOf =
  (graph: GraphBuilder, { layerNormEpsilon }: ModelConfig): Norm =>
  (x, name) =>
    graph.layerNorm(x, name, layerNormEpsilon);

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
    graph.linear(activation(graph, config.activation, graph.linear(input, names.ffnInner)), names.ffnOutput);
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
