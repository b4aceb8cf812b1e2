import type { MicroBatch } from '../data/index.ts';
import { modelInputs, type Transformer } from '../model/index.ts';
import { type Device, noGrad, scope } from '../tensor/index.ts';

/** How far each block moves its input; lists go from the lowest block up. */
export interface Similarity {
  /** `‖y − x‖₂`, x a token's state before and y after the block: the mean over all tokens. */
  distances: number[];
  /** The angle between x and y in degrees: the mean over all tokens. */
  angles: number[];
}

/** The distance and the angle between each block's input and output on some batches; padding does not count. */
export function similarity(model: Transformer, batches: readonly MicroBatch[], device: Device): Similarity {
  const { layers, hiddenSize } = model.config;
  const distances = new Array<number>(layers).fill(0);
  const angles = new Array<number>(layers).fill(0);
  let tokens = 0;
  for (const batch of batches) {
    const states = scope(() =>
      noGrad(() => model.residualStream(modelInputs(batch, device)).map((state) => state.toFloats())),
    );
    for (const [n, length] of batch.documents.map(sum).entries()) {
      tokens += length;
      for (let t = 0; t < length; t++) {
        const start = (n * batch.sequenceLength + t) * hiddenSize;
        for (let l = 0; l < layers; l++) {
          const { distance, angle } = between(states[l]!, states[l + 1]!, start, start + hiddenSize);
          distances[l]! += distance;
          angles[l]! += angle;
        }
      }
    }
  }
  return { distances: distances.map((sum) => sum / tokens), angles: angles.map((sum) => sum / tokens) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function between(x: Float32Array, y: Float32Array, start: number, end: number): { distance: number; angle: number } {
  let [xx, yy, dd] = [0, 0, 0];
  for (let i = start; i < end; i++) {
    const [a, b] = [x[i]!, y[i]!];
    xx += a * a;
    yy += b * b;
    dd += (b - a) ** 2;
  }
  // From the three sides of the triangle (0, x, y), in the form that stays exact for small angles (Kahan).
  const [a, b, c] = [Math.sqrt(Math.max(xx, yy)), Math.sqrt(Math.min(xx, yy)), Math.sqrt(dd)];
  if (b === 0) return { distance: c, angle: 0 }; // no direction
  const half = b >= c ? c - (a - b) : b - (a - c);
  const angle = 2 * Math.atan(Math.sqrt(Math.max(0, ((a - b + c) * half) / ((a + (b + c)) * (a - c + b)))));
  return { distance: c, angle: (angle * 180) / Math.PI };
}
