import { setTimeout as sleep } from 'node:timers/promises';
import { groupOfProcess } from '../tensor/index.ts';
import { PeerError } from './errors.ts';

const beatMs = 1000;
const shortestPollMs = 5;
const longestPollMs = 200;

/**
 * The texts that all ranks see, and how a rank waits for one: it keeps waiting while the rank that is to write it shows signs of
 * life, and stops when that rank is silent for `timeoutSeconds` or any rank reports a failure.
 */
export class Store implements Disposable {
  readonly timeoutSeconds: number;
  readonly #prefix: string;
  readonly #beating: NodeJS.Timeout;

  private constructor(rank: number, prefix: string, timeoutSeconds: number) {
    this.timeoutSeconds = timeoutSeconds;
    this.#prefix = prefix;
    let beats = 0;
    const beat = () => groupOfProcess.set(`${prefix}/beat/${rank}`, String(beats++)).catch(() => {});
    this.#beating = setInterval(beat, beatMs).unref();
  }

  /** Connects as one rank. `prefix` separates what is written from an earlier start of the same ranks. */
  static async open(
    at: { host: string; port: number; serves: boolean },
    { rank, prefix, timeoutSeconds }: { rank: number; prefix: string; timeoutSeconds: number },
  ): Promise<Store> {
    const timeoutMs = 1000 * timeoutSeconds;
    await within(timeoutSeconds + 5, groupOfProcess.openStore({ ...at, timeoutMs }));
    return new Store(rank, prefix, timeoutSeconds);
  }

  set(key: string, text: string): Promise<void> {
    return within(this.timeoutSeconds, groupOfProcess.set(`${this.#prefix}/${key}`, text));
  }

  get(key: string, seconds = this.timeoutSeconds): Promise<string | undefined> {
    return within(seconds, groupOfProcess.get(`${this.#prefix}/${key}`));
  }

  /**
   * Waits for what a rank sets.
   *
   * @throws PeerError if that rank falls silent, or a rank has failed; gives its number and message.
   */
  async wait(key: string, from: number): Promise<string> {
    let pollMs = shortestPollMs;
    let lastBeat: string | undefined;
    let heard = performance.now();
    for (;;) {
      const text = await this.get(key);
      if (text !== undefined) return text;
      const fault = await this.get('fault');
      if (fault !== undefined) throw new PeerError(fault);
      const beat = await this.get(`beat/${from}`);
      if (beat !== lastBeat) {
        lastBeat = beat;
        heard = performance.now();
      } else if (performance.now() - heard > 1000 * this.timeoutSeconds) {
        const what = beat === undefined ? 'has not connected' : 'has given no sign of life';
        throw new PeerError(
          `rank ${from} ${what} for ${this.timeoutSeconds} s; read its output, and start all ranks again`,
        );
      }
      await sleep(pollMs);
      pollMs = Math.min(longestPollMs, 2 * pollMs);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beating);
  }
}

/** Keeps the process alive and waits for an answer, at most this long. */
export async function within<T>(seconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `rank 0, which relays messages between ranks, has not answered for ${seconds} s`;
    timer = setTimeout(() => reject(new PeerError(message)), 1000 * seconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
