import { type GroupLibrary, native } from './native.ts';
import type { Tensor } from './tensor.ts';

/** A collective operation in progress. */
export interface Pending {
  /**
   * Blocks until it is done.
   *
   * @throws NativeError when another rank is gone, or does not answer in time.
   */
  wait(): void;
}

function pending(number: number): Pending {
  return { wait: () => native().waitForRanks(number) };
}

/** Sums a contiguous tensor over all ranks of the group, in place. */
export function allReduce(x: Tensor): Pending {
  return pending(native().allReduce(x.handle));
}

/** The same on rank `root` only; on the others the tensor's contents become undefined. */
export function reduce(x: Tensor, root: number): Pending {
  return pending(native().reduce(x.handle, root));
}

/** Copies a contiguous tensor from rank `root` to all ranks. */
export function broadcast(x: Tensor, root: number): Pending {
  return pending(native().broadcast(x.handle, root));
}

/**
 * The process group of libtorch's c10d that the collectives above use, one per process, and its key-value store. The promises do
 * not keep the process alive, and are rejected with a NativeError.
 */
export const groupOfProcess = {
  /** Whether the addon was built with c10d and this library; nothing else here may be called without. */
  isThere: (library: GroupLibrary) => native().hasGroups(library),
  /** Connects to the store; one rank serves it. */
  openStore: (at: { host: string; port: number; serves: boolean; timeoutMs: number }) =>
    native().openStore(at.host, at.port, at.serves, at.timeoutMs),
  set: (key: string, text: string) => native().storeSet(key, text),
  /** The value that was set, or undefined. */
  get: (key: string) => native().storeGet(key),
  /** Connects to all other ranks; `address` is where they reach this one, `name` is the same on all. */
  join: (as: { rank: number; size: number; address: string; name: string; timeoutMs: number; library: GroupLibrary }) =>
    native().joinGroup(as.rank, as.size, as.address, as.name, as.timeoutMs, as.library),
  /** Closes the connections: the others fail now instead of after the timeout. */
  hangUp: () => native().hangUp(),
};
