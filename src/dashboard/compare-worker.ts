import { parentPort, workerData } from 'node:worker_threads';
import { compareRuns, readRun } from '../report/index.ts';
import type { Answer } from './compare.ts';

/** Compares the runs in the given folders. Warnings are dropped: the page shows the state of each run anyway. */
function answer(folders: readonly string[]): Answer {
  try {
    return compareRuns(folders.map((folder) => readRun(folder, () => {})));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.postMessage(answer(workerData as readonly string[]));
