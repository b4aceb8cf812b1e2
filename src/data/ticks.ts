import { setImmediate } from 'node:timers/promises';

const tickMs = 2000;

/**
 * A function for long loops that calls `tell` every two seconds and then lets timers and signals of the process run: it returns a
 * promise to await if it did, and nothing otherwise.
 */
export function everyTwoSeconds<Value>(
  tell: ((value: Value) => void) | undefined,
): (value: () => Value) => Promise<void> | undefined {
  let toldAt = performance.now();
  return (value) => {
    const now = performance.now();
    if (now - toldAt < tickMs) return undefined;
    toldAt = now;
    tell?.(value());
    return setImmediate();
  };
}
