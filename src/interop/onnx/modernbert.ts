import { type ModelConfig, modernbertNames as names, sightOf } from '../../model/index.ts';
import { activation } from './activation.ts';
import { type OnnxEncoder, unseen } from './encoder.ts';
import type { GraphBuilder, Value } from './graph.ts';

// Legend: N texts, T positions, D model width, H heads of size d, F feed-forward width.

/** ModernBERT, as transformers.js knows it. */
export const modernbert: OnnxEncoder = {
  type: 'modernbert',
  classes: 'ModernBert',
  inputs: [],
  hidden(graph, config, bias) {
    const norm = (x: Value, name: string) => graph.layerNorm(x, name, config.layerNormEpsilon);
    const add = (stream: Value, branch: Value) => graph.op('Add', [stream, branch]);
    const positions_T = positionsOf(graph);
    let x = norm(graph.embedding(names.words, 'input_ids'), names.embeddingsNorm);
    for (let l = 0; l < config.layers; l++) {
      const { attentionNorm, ffnNorm, ffnInner, ffnOutput } = names.block(l);
      x = add(x, attention(graph, config, l, l === 0 ? x : norm(x, attentionNorm), { positions_T, bias }));
      const [a, b] = halves(graph, graph.linear(norm(x, ffnNorm), ffnInner), config.ffnSize);
      x = add(x, graph.linear(graph.op('Mul', [activation(graph, config.activation, a), b]), ffnOutput));
    }
    return norm(x, names.finalNorm);
  },
  maskedLogits: (graph, config, x) => graph.tied(transformed(graph, config, x), names.words, names.outputBias),
  classLogits: (graph, config, first) => graph.linear(transformed(graph, config, first), names.classifier),
  tagLogits: (graph, config, x) => graph.linear(transformed(graph, config, x), names.classifier),
};

/** What the output layer and classifiers read. */
function transformed(graph: GraphBuilder, { layerNormEpsilon }: ModelConfig, x: Value): Value {
  const inner = activation(graph, 'gelu', graph.linear(x, names.transform));
  return graph.layerNorm(inner, names.transformNorm, layerNormEpsilon);
}

/** 0 … T − 1, as floats. */
function positionsOf(graph: GraphBuilder): Value {
  const length = graph.op('Gather', [graph.op('Shape', ['input_ids']), graph.int(1)]);
  return graph.op('Cast', [graph.op('Range', [graph.int(0), length, graph.int(1)])], { to: 1 });
}

/** The first and the second half of the last dimension of size 2·`size`. */
function halves(graph: GraphBuilder, x: Value, size: number): [Value, Value] {
  return [part(graph, x, 0, size), part(graph, x, size, 2 * size)];
}

/** Numbers `start` to `end` (not included) of the last dimension. */
function part(graph: GraphBuilder, x: Value, start: number, end: number): Value {
  return graph.op('Slice', [x, graph.ints(start), graph.ints(end), graph.ints(-1)]);
}

function attention(
  graph: GraphBuilder,
  config: ModelConfig,
  l: number,
  x: Value,
  { positions_T, bias }: { positions_T: Value; bias: Value },
): Value {
  const { heads: H, hiddenSize: D } = config;
  const d = D / H;
  const { queryKeyValue, attentionOutput } = names.block(l);
  const { rotary, window } = sightOf(config, l);
  const qkv = graph.linear(x, queryKeyValue);
  const [q, k, v] = [0, 1, 2].map((i) => {
    const own = graph.op('Reshape', [part(graph, qkv, i * D, (i + 1) * D), graph.ints(0, 0, H, d)]);
    return graph.op('Transpose', [own], { perm: [0, 2, 1, 3] });
  }) as [Value, Value, Value];
  const angles_Td = graph.op('MatMul', [
    graph.op('Unsqueeze', [positions_T, graph.ints(1)]),
    graph.floats([1, d], [...rotary, ...rotary]),
  ]);
  const [cos, sin] = [graph.op('Cos', [angles_Td]), graph.op('Sin', [angles_Td])];
  const turned = (y: Value) => {
    const [first, second] = halves(graph, y, d / 2);
    const across = graph.op('Concat', [graph.op('Neg', [second]), first], { axis: -1 });
    return graph.op('Add', [graph.op('Mul', [y, cos]), graph.op('Mul', [across, sin])]);
  };
  const keys = graph.op('Transpose', [turned(k)], { perm: [0, 1, 3, 2] });
  const scores = graph.op('Mul', [graph.op('MatMul', [turned(q), keys]), graph.float(1 / Math.sqrt(d))]);
  const seen = window === undefined ? bias : graph.op('Add', [bias, outsideOf(graph, positions_T, window)]);
  const weights = graph.op('Softmax', [graph.op('Add', [scores, seen])], { axis: -1 });
  const context = graph.op('Transpose', [graph.op('MatMul', [weights, v])], { perm: [0, 2, 1, 3] });
  return graph.linear(graph.op('Reshape', [context, graph.ints(0, 0, D)]), attentionOutput);
}

/** [T, T] What is added to the scores of tokens that are more than `reach` apart. */
function outsideOf(graph: GraphBuilder, positions_T: Value, reach: number): Value {
  const [rows, columns] = [1, 0].map((axis) => graph.op('Unsqueeze', [positions_T, graph.ints(axis)]));
  const distance = graph.op('Abs', [graph.op('Sub', [rows!, columns!])]);
  const isFar = graph.op('Cast', [graph.op('Greater', [distance, graph.float(reach)])], { to: 1 });
  return graph.op('Mul', [isFar, graph.float(unseen)]);
}
