import { setImmediate } from 'node:timers/promises';
import { busy, gone } from './request-error.ts';

/** The limits of a queue, in tokens. */
export interface QueueLimits {
  /** Per batch, with every item padded to the longest; at least one item. */
  together: number;
  /** Waiting; a request that finds an empty queue is always accepted. */
  waiting: number;
}

/** A request: its items, and the answers so far. */
interface Job<X, Y> {
  items: readonly X[];
  /** The index of the next waiting item. */
  next: number;
  answers: Y[];
  signal: AbortSignal;
  resolve: (answers: Y[]) => void;
  reject: (error: unknown) => void;
}

/**
 * Batches items across requests. It never waits to fill a batch: what arrives while one runs joins the next. Requests take turns, item by
 * item, so that a long one does not hold up the short ones behind it.
 */
export class Queue<X, Y> {
  readonly #run: (items: readonly X[]) => readonly Y[];
  readonly #sizeOf: (item: X) => number;
  readonly #limits: QueueLimits;
  /** Those with items that wait, the one whose turn it is first. */
  #jobs: Job<X, Y>[] = [];
  #waiting = 0;
  #isRunning = false;

  constructor(run: (items: readonly X[]) => readonly Y[], sizeOf: (item: X) => number, limits: QueueLimits) {
    this.#run = run;
    this.#sizeOf = sizeOf;
    this.#limits = limits;
  }

  /**
   * The answers for some items, one at least. What waits is left out once `signal` is aborted.
   *
   * @throws RequestError where too much waits already.
   */
  ask(items: readonly X[], signal: AbortSignal): Promise<Y[]> {
    const size = this.#total(items);
    if (this.#waiting > 0 && this.#waiting + size > this.#limits.waiting) throw busy();
    this.#waiting += size;
    return new Promise((resolve, reject) => {
      this.#jobs.push({ items, next: 0, answers: [], signal, resolve, reject });
      if (!this.#isRunning) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    while (this.#jobs.length > 0) {
      await setImmediate(); // requests that have come are read
      this.#dropAborted();
      const batch = this.#nextBatch();
      if (batch.length === 0) continue;
      try {
        const answers = this.#run(batch.map(({ job, i }) => job.items[i]!));
        for (const [k, { job, i }] of batch.entries()) {
          job.answers[i] = answers[k]!;
          if (i === job.items.length - 1) job.resolve(job.answers);
        }
      } catch (error) {
        const failed = new Set(batch.map(({ job }) => job));
        this.#drop((job) => failed.has(job), error);
        for (const { reject } of failed) reject(error);
      }
    }
    this.#isRunning = false;
  }

  #nextBatch(): { job: Job<X, Y>; i: number }[] {
    const batch: { job: Job<X, Y>; i: number }[] = [];
    let longest = 0;
    for (;;) {
      const [job] = this.#jobs;
      if (!job) return batch;
      const size = this.#sizeOf(job.items[job.next]!);
      longest = Math.max(longest, size);
      if (batch.length > 0 && longest * (batch.length + 1) > this.#limits.together) return batch;
      this.#waiting -= size;
      batch.push({ job, i: job.next++ });
      this.#jobs.shift();
      if (job.next < job.items.length) this.#jobs.push(job);
    }
  }

  #dropAborted(): void {
    this.#drop(({ signal }) => signal.aborted, gone());
  }

  /** Takes requests out of the queue. */
  #drop(isOut: (job: Job<X, Y>) => boolean, reason: unknown): void {
    const out = this.#jobs.filter(isOut);
    if (out.length === 0) return;
    this.#jobs = this.#jobs.filter((job) => !isOut(job));
    for (const { items, next, reject } of out) {
      this.#waiting -= this.#total(items.slice(next));
      reject(reason);
    }
  }

  #total(items: readonly X[]): number {
    return items.reduce((sum, item) => sum + this.#sizeOf(item), 0);
  }
}
