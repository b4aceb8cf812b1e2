import { keep, type Pending, scope, Tensor } from '../tensor/index.ts';
import type { ProcessGroup } from './group.ts';

/** Makes float32 tensors on all ranks what they are on rank `root`, in one message. */
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

/** Room for tensors of some shapes, one behind the other. */
export function flatZeros(shapes: readonly (readonly number[])[], device: string): Tensor {
  return Tensor.zeros([shapes.reduce((sum, shape) => sum + numel(shape), 0)], { device });
}

/** Calls `body` with the piece of a flat tensor that is the place of each thing with a shape, in that shape. */
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
