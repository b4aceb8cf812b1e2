import type { ModelConfig } from '../../model/index.ts';
import type { GraphBuilder, Value } from './graph.ts';

/** `x/2 · (1 + erf(x/√2))`, `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, or `x / (1 + e⁻ˣ)`. */
export function activation(graph: GraphBuilder, kind: ModelConfig['activation'], x: Value): Value {
  const times = (a: Value, b: Value) => graph.op('Mul', [a, b]);
  if (kind === 'silu') return times(x, graph.op('Sigmoid', [x]));
  const inner = () => {
    if (kind === 'gelu') return graph.op('Erf', [times(x, graph.float(Math.SQRT1_2))]);
    const cube = times(times(times(x, x), x), graph.float(0.044715));
    return graph.op('Tanh', [times(graph.op('Add', [x, cube]), graph.float(Math.sqrt(2 / Math.PI)))]);
  };
  return times(times(x, graph.float(0.5)), graph.op('Add', [inner(), graph.float(1)]));
}
