import type { EmbeddingHead, Head, ModelConfig, Weights } from '../../model/index.ts';
import { unseen } from './attention.ts';
import type { OnnxGraph } from './file.ts';
import { GraphBuilder, type Value } from './graph.ts';
import type { Precision } from './precision.ts';

// Legend: N texts ("batch"), T positions ("sequence"), D model width, V vocabulary.

/** A family of encoders as an ONNX graph. */
export interface OnnxEncoder {
  /** `model_type`, and the prefix of its class names, as transformers.js knows them. */
  type: string;
  classes: string;
  /** The inputs of the graph besides `input_ids` and `attention_mask`. */
  inputs: readonly string[];
  /** The final hidden states [N, T, D]; `bias` [N, 1, 1, T] is added to the attention scores of padding. */
  hidden(graph: GraphBuilder, config: ModelConfig, bias: Value): Value;
  /** Logits [N, T, V] over the vocabulary. */
  maskedLogits(graph: GraphBuilder, config: ModelConfig, hidden: Value): Value;
  /** Logits [N, labels] of texts from [N, D]: the mean of the hidden states of their tokens, or that of the first token. */
  classLogits(graph: GraphBuilder, config: ModelConfig, pooled: Value): Value;
  /** Logits [N, T, labels] of tokens. */
  tagLogits(graph: GraphBuilder, config: ModelConfig, hidden: Value): Value;
}

/**
 * An encoder as an ONNX graph of `input_ids`, `attention_mask` and its other inputs, [N, T] for any N and T. It gives `logits`
 * [N, T, V] of the vocabulary without a `head`, [N, labels] of a classifier of texts, [N, T, labels] of one of tokens; or
 * `last_hidden_state` [N, T, D] and `sentence_embedding` [N, D].
 */
export function encoderGraph(
  family: OnnxEncoder,
  config: ModelConfig,
  weights: Weights,
  { head, precision }: { head: Head | undefined; precision: Precision },
): OnnxGraph {
  const graph = new GraphBuilder(weights, precision);
  const isPadding = graph.op('Equal', ['attention_mask', graph.int(0)]);
  const bias = graph.maskBias(graph.op('Unsqueeze', [isPadding, graph.ints(1, 2)]), unseen);
  const x = family.hidden(graph, config, bias);
  const output = (name: string, value: Value, dimensions: readonly (number | string)[]) => ({
    name,
    value,
    type: 'float' as const,
    shape: ['batch', ...dimensions],
  });
  const outputs = () => {
    if (head === undefined)
      return [output('logits', family.maskedLogits(graph, config, x), ['sequence', config.vocabSize])];
    if (head.kind === 'embedding') {
      return [
        output('last_hidden_state', x, ['sequence', config.hiddenSize]),
        output('sentence_embedding', embeddingOf(graph, head, x), [config.hiddenSize]),
      ];
    }
    const { length } = head.labels;
    if (head.kind === 'token') return [output('logits', family.tagLogits(graph, config, x), ['sequence', length])];
    const isMean = config.classifierPooling === 'mean';
    const pooled = isMean ? graph.narrow(meanOf(graph, graph.wide(x))) : firstOf(graph, x);
    return [output('logits', family.classLogits(graph, config, pooled), [length])];
  };
  const inputs = ['input_ids', 'attention_mask', ...family.inputs].map((name) => ({
    name,
    type: 'int64' as const,
    shape: ['batch', 'sequence'],
  }));
  return graph.finish({ name: family.type, inputs, outputs: outputs() });
}

/** The vector of each text, computed in float32. */
function embeddingOf(graph: GraphBuilder, { pooling, normalized }: EmbeddingHead, x: Value): Value {
  const pooled = pooling === 'mean' ? meanOf(graph, graph.wide(x)) : graph.wide(firstOf(graph, x));
  if (!normalized) return pooled;
  const squares = graph.op('ReduceSum', [graph.op('Mul', [pooled, pooled]), graph.ints(1)], { keepdims: 1 });
  return graph.op('Div', [pooled, graph.op('Max', [graph.op('Sqrt', [squares]), graph.float32s([], [1e-12])])]);
}

/** The hidden state of the first token. */
function firstOf(graph: GraphBuilder, x: Value): Value {
  return graph.op('Squeeze', [graph.op('Gather', [x, graph.ints(0)], { axis: 1 }), graph.ints(1)]);
}

/** The mean of the hidden states of a text's own tokens. */
function meanOf(graph: GraphBuilder, x: Value): Value {
  const own = graph.cast(graph.op('Unsqueeze', ['attention_mask', graph.ints(2)]), 'float');
  const sum = graph.op('ReduceSum', [graph.op('Mul', [x, own]), graph.ints(1)], { keepdims: 0 });
  const count = graph.op('ReduceSum', [own, graph.ints(1)], { keepdims: 0 });
  return graph.op('Div', [sum, graph.op('Max', [count, graph.float32s([], [1])])]);
}
