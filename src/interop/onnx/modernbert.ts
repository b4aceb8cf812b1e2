import { type ModelConfig, modernbertNames as names, sightOf } from '../../model/index.ts';
import { activation } from './activation.ts';
import { attention, splitHeads, unseen } from './attention.ts';
import type { OnnxEncoder } from './encoder.ts';
import type { GraphBuilder, Value } from './graph.ts';
import { rotaryAngles, rotated } from './rotary.ts';

// Legend: N texts, T positions, D model width, H heads of size d, F feed-forward width.

/** ModernBERT, as transformers.js knows it. */
export const modernbert: OnnxEncoder = {
  type: 'modernbert',
  classes: 'ModernBert',
  inputs: [],
  hidden(graph, config, bias) {
    const norm = (x: Value, name: string) => graph.layerNorm(x, name, config.layerNormEpsilon);
    const add = (stream: Value, branch: Value) => graph.op('Add', [stream, branch]);
    const positions_T = graph.range(graph.ints(0), graph.dimension('input_ids', 1));
    let x = norm(graph.embedding(names.words, 'input_ids'), names.embeddingsNorm);
    for (let l = 0; l < config.layers; l++) {
      const { attentionNorm, attentionOutput, ffnNorm, ffnInner, ffnOutput } = names.block(l);
      const context = seen(graph, config, l, l === 0 ? x : norm(x, attentionNorm), { positions_T, bias });
      x = add(x, graph.linear(context, attentionOutput));
      const inner = graph.linear(norm(x, ffnNorm), ffnInner);
      const [a, b] = [0, 1].map((i) => graph.part(inner, i * config.ffnSize, (i + 1) * config.ffnSize));
      x = add(x, graph.linear(graph.op('Mul', [activation(graph, config.activation, a!), b!]), ffnOutput));
    }
    return norm(x, names.finalNorm);
  },
  maskedLogits: (graph, config, x) => graph.tied(transformed(graph, config, x), names.words, names.outputBias),
  classLogits: (graph, config, pooled) => graph.linear(transformed(graph, config, pooled), names.classifier),
  tagLogits: (graph, config, x) => graph.linear(transformed(graph, config, x), names.classifier),
};

/** The input of the output layer and of classifiers. */
function transformed(graph: GraphBuilder, { layerNormEpsilon }: ModelConfig, x: Value): Value {
  const inner = activation(graph, 'gelu', graph.linear(x, names.transform));
  return graph.layerNorm(inner, names.transformNorm, layerNormEpsilon);
}

/** [N, T, D] The attention output of block `l`. */
function seen(
  graph: GraphBuilder,
  config: ModelConfig,
  l: number,
  x: Value,
  { positions_T, bias }: { positions_T: Value; bias: Value },
): Value {
  const { heads, hiddenSize: D } = config;
  const size = D / heads;
  const { rotary, window } = sightOf(config, l);
  const qkv = graph.linear(x, names.block(l).queryKeyValue);
  const [q, k, v] = [0, 1, 2].map((i) => splitHeads(graph, graph.part(qkv, i * D, (i + 1) * D), heads, size)) as [
    Value,
    Value,
    Value,
  ];
  const angles = rotaryAngles(graph, positions_T, rotary);
  return attention(
    graph,
    {
      q: rotated(graph, q, angles, size),
      k: rotated(graph, k, angles, size),
      v,
      bias: window === undefined ? bias : graph.op('Add', [bias, outsideOf(graph, positions_T, window)]),
    },
    { heads, size },
  );
}

/** [T, T] Added to the scores of tokens that are more than `reach` apart. */
function outsideOf(graph: GraphBuilder, positions_T: Value, reach: number): Value {
  const [rows, columns] = [1, 0].map((axis) => graph.op('Unsqueeze', [positions_T, graph.ints(axis)]));
  const distance = graph.op('Abs', [graph.op('Sub', [rows!, columns!])]);
  return graph.maskBias(graph.op('Greater', [distance, graph.int(reach)]), unseen);
}
