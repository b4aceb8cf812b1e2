import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, SetupError } from '../errors/index.ts';
import {
  allReduce,
  broadcast,
  type Device,
  groupOfProcess,
  isCuda,
  NativeError,
  type Pending,
  reduce,
  scope,
  Tensor,
} from '../tensor/index.ts';
import type { RankEnvironment } from './environment.ts';
import { PeerError } from './errors.ts';
import { Store, within } from './store.ts';

/**
 * Ranks that train one model together, each on its part of every micro-batch; a single process is a group of one, in which
 * nothing is sent. Every rank calls the same collectives in the same order. A collective throws a PeerError if another rank no
 * longer takes part.
 */
export interface ProcessGroup extends Disposable {
  /** 0 … size − 1 */
  readonly rank: number;
  readonly size: number;
  /** 0 for the first rank on its machine. */
  readonly localRank: number;
  /** Sums a contiguous tensor over all ranks, in place. */
  allReduce(x: Tensor): Pending;
  /** The same on rank `root` only; on the others the tensor's contents become undefined. */
  reduce(x: Tensor, root: number): Pending;
  /** Copies a contiguous tensor from rank `root` to all ranks. */
  broadcast(x: Tensor, root: number): Pending;
  /** Sums of numbers over all ranks, in float64. */
  sum(numbers: readonly number[]): number[];
  /** Returns rank 0's value on all ranks, as JSON; each name is used once. */
  share<T>(name: string, value: T | undefined): Promise<T>;
  /** Returns the values of all ranks, in their order, on all ranks, as JSON; each name is used once. */
  gather<T>(name: string, value: T): Promise<T[]>;
  /** What was sent (calculated from the shapes) and the time spent waiting for collectives since the last call. */
  traffic(): Traffic;
  /**
   * Ends the group because of an error of this rank, which is reported to the others, or because another rank is gone, which is
   * then identified. Returns the error to throw.
   */
  settle(error: unknown): Promise<unknown>;
}

/** How much one rank sent in collectives, and how long it waited for them. */
export interface Traffic {
  bytesSent: number;
  waitSeconds: number;
}

/** A rank's part of `count` consecutive things: the parts differ by at most one. */
export function partOf(
  count: number,
  { rank, size }: Pick<ProcessGroup, 'rank' | 'size'>,
): { first: number; count: number } {
  const first = Math.floor((rank * count) / size);
  return { first, count: Math.floor(((rank + 1) * count) / size) - first };
}

const done: Pending = { wait: () => {} };

/** A process that trains alone. */
export const alone: ProcessGroup = {
  rank: 0,
  size: 1,
  localRank: 0,
  allReduce: () => done,
  reduce: () => done,
  broadcast: () => done,
  sum: (numbers) => [...numbers],
  share: async (_name, value) => value!,
  gather: async (_name, value) => [value],
  traffic: () => ({ bytesSent: 0, waitSeconds: 0 }),
  settle: async (error) => error,
  [Symbol.dispose]: () => {},
};

/**
 * Connects to the other ranks of `environment`; without one, the process is alone. Tensors are on `device`: ranks communicate
 * through NCCL on GPUs and through Gloo on the CPU. A rank without a sign of life for `timeoutSeconds` counts as lost.
 *
 * @throws PeerError if not all ranks connect.
 * @throws ConfigError for a host name that is not found or a port that is in use.
 * @throws SetupError if c10d is missing.
 */
export async function joinRanks(
  environment: RankEnvironment | undefined,
  { device, timeoutSeconds }: { device: Device; timeoutSeconds: number },
): Promise<ProcessGroup> {
  if (environment === undefined) return alone;
  const library = isCuda(device) ? 'nccl' : 'gloo';
  if (!groupOfProcess.isThere(library)) {
    throw new SetupError(
      library === 'gloo'
        ? 'several ranks need c10d with Gloo, but the addon was built without it; install libgloo-dev beside libtorch-dev, then `npm run build`'
        : 'several ranks on GPUs need c10d with NCCL, but the addon was built without it; install nvidia-nccl beside torch, then `npm run build`',
    );
  }
  const { rank, size, masterAddress, masterPort, restarts } = environment;
  await checkResolves(masterAddress);
  const store = await openStore(environment, timeoutSeconds);
  const group = new Ranks(environment, store, device);
  try {
    if (rank !== 0 && (await store.get('hello')) !== undefined) {
      throw new PeerError(`rank 0 belongs to an earlier start, which had another rank ${rank}; ${again}`);
    }
    const address = await ownAddress(masterAddress, masterPort);
    const first = await group.share('size', size);
    if (first !== size) {
      throw new ConfigError(`WORLD_SIZE: ${size} on rank ${rank}, but ${first} on rank 0; set the same on every rank`);
    }
    await group.gather('hello', null);
    const timeoutMs = 1000 * timeoutSeconds;
    const joined = groupOfProcess.join({
      rank,
      size,
      address,
      name: `taper/${restarts}/${library}`,
      timeoutMs,
      library,
    });
    await within(timeoutSeconds + 5, joined);
  } catch (error) {
    throw await group.settle(error instanceof NativeError ? lost(error) : error);
  }
  return group;
}

/** Seconds for which name servers that do not answer are asked again. */
const resolveSeconds = 5;

/** Refuses a name that does not resolve: neither waiting nor a restart would help. */
export async function checkResolves(host: string, find: (host: string) => Promise<unknown> = lookup): Promise<void> {
  const end = performance.now() + 1000 * resolveSeconds;
  for (;;) {
    try {
      await find(host);
      return;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EAI_AGAIN' && performance.now() < end) {
        await sleep(500);
        continue;
      }
      const reason = code === 'EAI_AGAIN' ? 'the name servers do not answer' : 'no host with this name was found';
      throw new ConfigError(
        `MASTER_ADDR: ${host}: ${reason} (${code}); give the name or address of rank 0's machine, without a port`,
        { cause },
      );
    }
  }
}

async function openStore(environment: RankEnvironment, timeoutSeconds: number): Promise<Store> {
  const { rank, masterAddress: host, masterPort: port, launcherServes, restarts } = environment;
  const serves = rank === 0 && !launcherServes;
  try {
    return await Store.open({ host, port, serves }, { rank, prefix: `taper/${restarts}`, timeoutSeconds });
  } catch (cause) {
    if (!(cause instanceof NativeError)) throw cause;
    if (serves && /EADDRINUSE|in use/.test(cause.message)) {
      throw new ConfigError(`MASTER_PORT: ${port} is in use by another program on this machine; choose another port`, {
        cause,
      });
    }
    throw new PeerError(`rank 0 was not found at ${host}:${port} within ${timeoutSeconds} s (${cause.message})`, {
      cause,
    });
  }
}

/** The address at which the others reach this machine: that of the route to rank 0, or of GLOO_SOCKET_IFNAME's interface. */
async function ownAddress(host: string, port: number): Promise<string> {
  const name = process.env.GLOO_SOCKET_IFNAME;
  if (name !== undefined) {
    const address = networkInterfaces()[name]?.[0]?.address;
    if (address === undefined)
      throw new ConfigError(
        `GLOO_SOCKET_IFNAME: this machine has no interface ${name}; set it to one that \`ip address\` lists`,
      );
    return address;
  }
  const socket = connect(port, host);
  try {
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket.localAddress!.replace(/^::ffff:/, '');
  } finally {
    socket.destroy();
  }
}

/** How to fix it. */
const again = 'start all ranks again with --resume';
/** Seconds that a rank waits for reports from the others when one is gone, besides the time they may need to get there. */
const graceSeconds = 5;

class Ranks implements ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly #store: Store;
  readonly #device: Device;
  readonly #traffic: Traffic = { bytesSent: 0, waitSeconds: 0 };
  /** When this rank last took part in a collective, and the longest time it was busy with something else. */
  #last = performance.now();
  #longestSeconds = 0;

  constructor({ rank, size, localRank }: RankEnvironment, store: Store, device: Device) {
    this.rank = rank;
    this.size = size;
    this.localRank = localRank;
    this.#store = store;
    this.#device = device;
  }

  allReduce(x: Tensor): Pending {
    return this.#begin(x, (2 * (this.size - 1)) / this.size, () => allReduce(x));
  }

  reduce(x: Tensor, root: number): Pending {
    return this.#begin(x, (this.size - 1) / this.size, () => reduce(x, root));
  }

  broadcast(x: Tensor, root: number): Pending {
    return this.#begin(x, (this.size - 1) / this.size, () => broadcast(x, root));
  }

  sum(numbers: readonly number[]): number[] {
    return scope(() => {
      const total = Tensor.from(Float64Array.from(numbers), [numbers.length], { device: this.#device });
      this.allReduce(total).wait();
      return Array.from(total.toArray() as Float64Array);
    });
  }

  async share<T>(name: string, value: T | undefined): Promise<T> {
    if (this.rank !== 0) return JSON.parse(await this.#store.wait(name, 0)) as T;
    await this.#store.set(name, JSON.stringify(value));
    return value!;
  }

  /** Goes through rank 0, so that not every rank has to read from every other. */
  async gather<T>(name: string, value: T): Promise<T[]> {
    if (this.rank !== 0) {
      await this.#store.set(`${name}/${this.rank}`, JSON.stringify(value));
      return this.share<T[]>(name, undefined);
    }
    const all = [value];
    for (let rank = 1; rank < this.size; rank++)
      all.push(JSON.parse(await this.#store.wait(`${name}/${rank}`, rank)) as T);
    return this.share(name, all);
  }

  traffic(): Traffic {
    const now = { ...this.#traffic };
    Object.assign(this.#traffic, { bytesSent: 0, waitSeconds: 0 });
    return now;
  }

  async settle(error: unknown): Promise<unknown> {
    groupOfProcess.hangUp();
    try {
      if (!(error instanceof PeerError)) {
        await this.#store.set('fault', `rank ${this.rank} on ${hostname()} failed: ${(error as Error).message}`);
        await this.#store.set(`left/${this.rank}`, '');
        if (this.rank === 0) await this.#untilAllLeft(graceSeconds);
        return error;
      }
      return error.cause instanceof NativeError ? await this.#whoIsGone(error) : error;
    } catch {
      // The store is gone with rank 0.
      return error instanceof PeerError
        ? new PeerError(`rank 0 is gone or frozen (${error.message}); ${again}`, { cause: error })
        : error;
    } finally {
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #begin(x: Tensor, copies: number, collective: () => Pending): Pending {
    this.#longestSeconds = Math.max(this.#longestSeconds, (performance.now() - this.#last) / 1000);
    this.#traffic.bytesSent += copies * x.bytes;
    const pending = lostIfFailing(collective);
    return {
      wait: () => {
        const started = performance.now();
        lostIfFailing(() => pending.wait());
        this.#last = performance.now();
        this.#traffic.waitSeconds += (this.#last - started) / 1000;
      },
    };
  }

  /** All remaining ranks report; a rank that does not is gone. Rank 0 counts them and tells the others. */
  async #whoIsGone(error: PeerError): Promise<PeerError> {
    const seconds = graceSeconds + 2 * this.#longestSeconds;
    await this.#store.set(`left/${this.rank}`, '');
    if (this.rank !== 0) {
      const end = performance.now() + 1000 * (seconds + graceSeconds);
      while (performance.now() < end) {
        const fault = (await this.#store.get('fault', seconds)) ?? (await this.#store.get('gone', seconds));
        if (fault !== undefined) return new PeerError(fault, { cause: error });
        await sleep(50);
      }
      return new PeerError(`rank 0 is gone or frozen (${error.message}); ${again}`, { cause: error });
    }
    const missing = await this.#untilAllLeft(seconds);
    const fault = await this.#store.get('fault');
    if (fault !== undefined) return new PeerError(fault, { cause: error });
    const who =
      missing.length > 0
        ? `${missing.length > 1 ? 'ranks' : 'rank'} ${missing.join(', ')}`
        : 'the connection of a rank';
    const message = `${who} ${missing.length > 1 ? 'are' : 'is'} gone or frozen (${error.message}); ${again}`;
    await this.#store.set('gone', message);
    await sleep(1000); // gives the others time to read it
    return new PeerError(message, { cause: error });
  }

  /** Waits for reports from all other ranks, up to a limit; returns those that did not report. */
  async #untilAllLeft(seconds: number): Promise<number[]> {
    let missing = Array.from({ length: this.size }, (_, rank) => rank).filter((rank) => rank !== this.rank);
    const end = performance.now() + 1000 * seconds;
    for (;;) {
      const words = await Promise.all(missing.map((rank) => this.#store.get(`left/${rank}`)));
      missing = missing.filter((_, i) => words[i] === undefined);
      if (missing.length === 0 || performance.now() > end) return missing;
      await sleep(50);
    }
  }
}

/** When a collective fails, libtorch reports socket errors; they mean that another rank is lost. */
function lostIfFailing<T>(body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw cause instanceof NativeError ? lost(cause) : cause;
  }
}

/** Keeps the network's message, without the place in the libraries' sources. */
function lost(cause: NativeError): PeerError {
  return new PeerError(cause.message.replace(/^\w+(\(.*?\))?: (\[\S+\] )?/, ''), { cause });
}
