import { type Handle, native } from './native.ts';

/** Something that a scope frees: anything with a handle. */
export interface Owned {
  readonly handle: Handle;
}

const scopes: Set<Owned>[] = [];

/** Adds a new tensor to the innermost open scope, if there is one. */
export function register(tensor: Owned): void {
  scopes.at(-1)?.add(tensor);
}

/** Frees a tensor now; freeing it twice does nothing. */
export function release(tensor: Owned): void {
  scopes.at(-1)?.delete(tensor);
  native().free([tensor.handle]);
}

/**
 * Runs `body` and frees every tensor made inside it except those that it returns: a tensor, or tensors in arrays, maps and plain
 * objects. The returned tensors belong to the enclosing scope, or to the caller if there is none.
 *
 * @throws TypeError when `body` is asynchronous: its tensors would be freed while it still runs.
 */
export function scope<T>(body: () => T): T {
  const made = new Set<Owned>();
  scopes.push(made);
  let result: T;
  try {
    result = body();
    if (result instanceof Promise) throw new TypeError('scope: the body must not be asynchronous');
    for (const tensor of tensorsIn(result)) if (made.delete(tensor)) scopes.at(-2)?.add(tensor);
  } finally {
    scopes.pop();
    native().free(Array.from(made, (tensor) => tensor.handle));
  }
  return result;
}

function* tensorsIn(value: unknown): Generator<Owned> {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  if ('handle' in value) yield value as Owned;
  else for (const inner of value instanceof Map ? value.values() : Object.values(value)) yield* tensorsIn(inner);
}

/** Removes a tensor from all open scopes: it belongs to the caller, who frees it. */
export function keep<T extends Owned>(tensor: T): T {
  for (const made of scopes) made.delete(tensor);
  return tensor;
}

/** The number of live tensors; if it grows over training steps, something leaks. */
export function liveTensors(): number {
  return native().liveTensors();
}

/** Runs `body` without recording operations for gradients. */
export function noGrad<T>(body: () => T): T {
  const before = native().isGradEnabled();
  native().setGradEnabled(false);
  try {
    return body();
  } finally {
    native().setGradEnabled(before);
  }
}
