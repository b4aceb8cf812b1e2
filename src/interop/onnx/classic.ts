import type { BlockNames, ModelConfig } from '../../model/index.ts';
import { activation } from './activation.ts';
import type { GraphBuilder, Value } from './graph.ts';

/** The block of BERT and GPT-2, with norms before its branches or after them. */
export function classicBlock(
  graph: GraphBuilder,
  config: ModelConfig,
  names: BlockNames,
  x: Value,
  attention: (input: Value) => Value,
): Value {
  const norm = (y: Value, name: string) => graph.layerNorm(y, name, config.layerNormEpsilon);
  const add = (stream: Value, branch: Value) => graph.op('Add', [stream, branch]);
  const attended = (input: Value) => graph.linear(attention(input), names.attentionOutput);
  const feedForward = (input: Value) =>
    graph.linear(activation(graph, config.activation, graph.linear(input, names.ffnInner)), names.ffnOutput);
  if (config.norm === 'pre') {
    const h = add(x, attended(norm(x, names.attentionNorm)));
    return add(h, feedForward(norm(h, names.ffnNorm)));
  }
  const h = norm(add(x, attended(x)), names.attentionNorm);
  return norm(add(h, feedForward(h)), names.ffnNorm);
}
