import { keep, type Pending, scope, Tensor } from '../tensor/index.ts';
import type { ProcessGroup } from './group.ts';

/** Copies float32 tensors from rank `root` to all ranks, in one message. */
export function broadcastTogether(group: ProcessGroup, tensors: readonly Tensor[], root: number): Pending {
  if (group.size === 1 || tensors.length === 0) return { wait: () => {} };
  const flat = keep(
    flatZeros(
      tensors.map(({ shape }) => shape),
      tensors[0]!.device,
    ),
  );
  if (group.rank === root) eachPart(flat, tensors, (part, tensor) => part.copy_(tensor));
  const pending = group.broadcast(flat, root);
  return {
    wait: () => {
      pending.wait();
      if (group.rank !== root) eachPart(flat, tensors, (part, tensor) => tensor.copy_(part));
      flat.free();
    },
  };
}

/** Space for tensors of some shapes, one after the other. */
export function flatZeros(shapes: readonly (readonly number[])[], device: string): Tensor {
  return Tensor.zeros([shapes.reduce((sum, shape) => sum + numel(shape), 0)], { device });
}

/** Calls `body` for each thing with its part of a flat tensor, in the thing's shape. */
export function eachPart<T extends { shape: readonly number[] }>(
  flat: Tensor,
  things: readonly T[],
  body: (part: Tensor, thing: T) => void,
): void {
  scope(() => {
    let start = 0;
    for (const thing of things) {
      const { shape } = thing;
      body(flat.narrow(0, start, numel(shape)).reshape(shape), thing);
      start += numel(shape);
    }
  });
}

function numel(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
