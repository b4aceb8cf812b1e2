import type { GraphBuilder, Value } from './graph.ts';

// Legend: T positions, d size of a head.

/** Cosines and sines of angles [..., T, d]. */
export interface Angles {
  cos: Value;
  sin: Value;
}

/** The angles at integer positions [..., T]: position times frequency, in float32. */
export function rotaryAngles(graph: GraphBuilder, positions: Value, frequencies: readonly number[]): Angles {
  const column = graph.cast(graph.op('Unsqueeze', [positions, graph.ints(-1)]), 'float');
  const row = graph.float32s([1, 2 * frequencies.length], [...frequencies, ...frequencies]);
  const angles = graph.op('Mul', [column, row]);
  return { cos: graph.narrow(graph.op('Cos', [angles])), sin: graph.narrow(graph.op('Sin', [angles])) };
}

/** Queries or keys [N, H, T, d], rotated by the angles of their positions: element i with element i + d/2. */
export function rotated(graph: GraphBuilder, x: Value, { cos, sin }: Angles, size: number): Value {
  const [first, second] = [graph.part(x, 0, size / 2), graph.part(x, size / 2, size)];
  const across = graph.op('Concat', [graph.op('Neg', [second]), first], { axis: -1 });
  return graph.op('Add', [graph.op('Mul', [x, cos]), graph.op('Mul', [across, sin])]);
}
