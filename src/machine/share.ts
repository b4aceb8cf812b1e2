import { loadavg } from 'node:os';
import { numProcessors } from './processor.ts';

/** A program that computes alone gets more of its processors than this. */
const aloneShare = 0.7;
/** In a shorter time, starting up counts too much. */
const leastMs = 5000;

/**
 * Watches from now on how much of `threads` processors this process gets while it computes on all of them. The result tells whether
 * other programs slow it down: undefined if they do not.
 */
export function watchProcessors(threads = numProcessors()): () => string | undefined {
  const [started, used] = [performance.now(), process.cpuUsage()];
  return () => {
    const ms = performance.now() - started;
    if (ms < leastMs) return undefined;
    const { user, system } = process.cpuUsage(used);
    const share = (user + system) / 1000 / ms / threads;
    return slowdown(share, { load: loadavg()[0]!, processors: numProcessors() });
  };
}

/** The slowdown in words, if the process gets a small share of its time and the system has more threads to run than processors. */
export function slowdown(
  share: number,
  { load, processors }: { load: number; processors: number },
): string | undefined {
  if (share >= aloneShare || load <= processors) return undefined;
  return `another program is using the CPU: this one gets ${Math.round(100 * share)} % of its time, so it takes about ${(1 / share).toFixed(1)} times as long as alone`;
}
