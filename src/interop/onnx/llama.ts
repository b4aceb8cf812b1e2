import { llamaRotary, llamaNames as names } from '../../model/families/llama.ts';
import { headsOf } from '../../model/parameters.ts';
import { activation } from './activation.ts';
import { splitHeads } from './attention.ts';
import type { OnnxDecoder } from './decoder.ts';
import type { Value } from './graph.ts';
import { rotaryAngles, rotated } from './rotary.ts';

/** Llama, and Qwen3 with its norms of queries and keys. */
export const llama: OnnxDecoder = {
  hidden(graph, config, { positions, attend }) {
    const { heads, layers, qkNorm, layerNormEpsilon } = config;
    const { keyValueHeads, headSize } = headsOf(config);
    const norm = (x: Value, name: string) => graph.rmsNorm(x, name, layerNormEpsilon);
    const add = (stream: Value, branch: Value) => graph.op('Add', [stream, branch]);
    const angles = rotaryAngles(graph, graph.op('Unsqueeze', [positions, graph.ints(1)]), llamaRotary(config));
    let x = graph.embedding(names.words, 'input_ids');
    for (let l = 0; l < layers; l++) {
      const block = names.block(l);
      const input = norm(x, block.attentionNorm);
      const split = (name: string, count: number) => splitHeads(graph, graph.linear(input, name), count, headSize);
      const turned = (name: string, count: number, normName: string) => {
        const own = split(name, count);
        return rotated(graph, qkNorm ? norm(own, normName) : own, angles, headSize);
      };
      const q = turned(block.query, heads, block.queryNorm);
      const k = turned(block.key, keyValueHeads, block.keyNorm);
      const context = attend(l, q, k, split(block.value, keyValueHeads));
      x = add(x, graph.linear(context, block.attentionOutput));
      const h = norm(x, block.ffnNorm);
      const gate = activation(graph, config.activation, graph.linear(h, block.ffnGate));
      x = add(x, graph.linear(graph.op('Mul', [gate, graph.linear(h, block.ffnInner)]), block.ffnOutput));
    }
    return norm(x, names.finalNorm);
  },
  logits: (graph, _, x) =>
    graph.has(`${names.output}.weight`) ? graph.linear(x, names.output) : graph.tied(x, names.words),
};
