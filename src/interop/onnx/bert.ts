import { type ModelConfig, bertNames as names } from '../../model/index.ts';
import { activation } from './activation.ts';
import { attention, splitHeads } from './attention.ts';
import { classicBlock } from './classic.ts';
import type { OnnxEncoder } from './encoder.ts';
import type { GraphBuilder, Value } from './graph.ts';

/** BERT: PreLN and PostLN differ only in the order of operations; transformers.js knows both as `bert`. */
export const bert: OnnxEncoder = {
  type: 'bert',
  classes: 'Bert',
  inputs: ['token_type_ids'],
  hidden(graph, config, bias) {
    const { heads, hiddenSize, layers, layerNormEpsilon } = config;
    const size = hiddenSize / heads;
    let x = embeddings(graph, config);
    for (let l = 0; l < layers; l++) {
      const block = names.block(config, l);
      x = classicBlock(graph, config, block, x, (input) => {
        const [q, k, v] = block.queryKeyValue.map((name) =>
          splitHeads(graph, graph.linear(input, name), heads, size),
        ) as [Value, Value, Value];
        return attention(graph, { q, k, v, bias }, { heads, size });
      });
    }
    return config.norm === 'pre' ? graph.layerNorm(x, names.finalNorm, layerNormEpsilon) : x;
  },
  maskedLogits(graph, { activation: kind, layerNormEpsilon }, x) {
    const inner = activation(graph, kind, graph.linear(x, names.transform));
    return graph.tied(graph.layerNorm(inner, names.transformNorm, layerNormEpsilon), names.words, names.outputBias);
  },
  classLogits: (graph, _, first) =>
    graph.linear(graph.op('Tanh', [graph.linear(first, names.pooler)]), names.classifier),
  tagLogits: (graph, _, x) => graph.linear(x, names.classifier),
};

function embeddings(graph: GraphBuilder, { norm, layerNormEpsilon }: ModelConfig): Value {
  const positions = graph.op('Slice', [
    graph.weight(names.positions),
    graph.ints(0),
    graph.dimension('input_ids', 1),
    graph.ints(0),
  ]);
  const words = graph.embedding(names.words, 'input_ids');
  const types = graph.op('Gather', [graph.weight(names.types), 'token_type_ids']);
  const sum = graph.op('Add', [graph.op('Add', [words, types]), positions]);
  return norm === 'pre' ? sum : graph.layerNorm(sum, names.embeddingsNorm, layerNormEpsilon);
}
