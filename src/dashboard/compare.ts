import { Worker } from 'node:worker_threads';
import type { Comparison } from '../report/index.ts';

/** The answer of `compare-worker.ts`; an error is one line. */
export type Answer = Comparison | { error: string };

/** Compares runs in a worker thread, because it reads whole runs; one comparison at a time. */
export class Comparer {
  #before: Promise<unknown> = Promise.resolve();

  compare(folders: readonly string[], signal: AbortSignal): Promise<Answer> {
    const answer = this.#before.then(() =>
      signal.aborted ? { error: 'the request was cancelled' } : compared(folders, signal),
    );
    this.#before = answer.catch(() => {});
    return answer;
  }
}

function compared(folders: readonly string[], signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./compare-worker.js', import.meta.url), { workerData: folders });
    const stop = () => void worker.terminate();
    signal.addEventListener('abort', stop);
    worker
      .on('message', resolve)
      .on('error', (error) => resolve({ error: error.message }))
      .on('exit', () => {
        signal.removeEventListener('abort', stop);
        resolve({ error: 'the comparison was stopped' }); // unless it has answered
      });
  });
}
