import { gptNames as names } from '../../model/families/gpt2.ts';
import { splitHeads } from './attention.ts';
import { classicBlock } from './classic.ts';
import type { OnnxDecoder } from './decoder.ts';
import type { Value } from './graph.ts';

/** GPT-2. */
export const gpt2: OnnxDecoder = {
  hidden(graph, config, { positions, attend }) {
    const { heads, hiddenSize: D, layers, layerNormEpsilon } = config;
    let x = graph.op('Add', [
      graph.embedding(names.words, 'input_ids'),
      graph.op('Gather', [graph.weight(names.positions), positions]),
    ]);
    for (let l = 0; l < layers; l++) {
      const block = names.block(l);
      x = classicBlock(graph, config, block, x, (input) => {
        const qkv = graph.linear(input, block.queryKeyValue[0]!);
        const [q, k, v] = [0, 1, 2].map((i) =>
          splitHeads(graph, graph.part(qkv, i * D, (i + 1) * D), heads, D / heads),
        ) as [Value, Value, Value];
        return attend(l, q, k, v);
      });
    }
    return graph.layerNorm(x, names.finalNorm, layerNormEpsilon);
  },
  logits: (graph, _, x) => graph.tied(x, names.words),
};
