import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { DataError } from '../errors/index.ts';
import type { EvalMetrics, Metrics, StepMetrics } from './fields.ts';
import type { LogLine } from './log.ts';

/** A line of `metrics.jsonl`; undefined for one that is broken or of another kind. */
export function metricsOf(text: string): Metrics | undefined {
  const line = parsed<Metrics>(text);
  if (!Number.isFinite(line?.step)) return undefined;
  const isWhole = line!.type === 'step' ? Array.isArray(line!.keepRates) : line!.type === 'eval';
  return isWhole ? line : undefined;
}

/** A line of `log.jsonl`; undefined for one that is broken. */
export function logLineOf(text: string): LogLine | undefined {
  const line = parsed<LogLine>(text);
  if (typeof line?.time !== 'string') return undefined;
  const isWhole = line.type === 'start' ? line.environment && Array.isArray(line.command) : line.text !== undefined;
  return isWhole ? line : undefined;
}

/**
 * All lines of a metrics file; none if there is no file. A last line that a crash truncated is left out.
 *
 * @throws DataError for a broken line before the last.
 */
export function readMetrics(path: string): Metrics[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((text, i) => {
    const line = metricsOf(text);
    if (line) return line;
    throw new DataError(`${path}:${i + 1}: neither a step nor an evaluation; delete the line`);
  });
}

/** How much of a file's end is read first, and at most, if that contains no evaluation. */
const [tailBytes, mostTailBytes] = [1 << 16, 1 << 22];

/** The last `numSteps` steps of a metrics file, newest first, and its last evaluation, read from its end; broken lines are skipped. */
export function lastMetrics(path: string, numSteps: number): { steps: StepMetrics[]; evaluation?: EvalMetrics } {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    for (let bytes = tailBytes; ; bytes *= 8) {
      const tail = Buffer.alloc(Math.min(bytes, size));
      readSync(file, tail, 0, tail.length, size - tail.length);
      const lines = tail.toString('utf8').split('\n').slice(0, -1).reverse();
      const steps = firstOf<StepMetrics>(lines, 'step', numSteps);
      const [evaluation] = firstOf<EvalMetrics>(lines, 'eval', 1);
      if (evaluation) return { steps, evaluation };
      if (bytes >= Math.min(size, mostTailBytes)) return { steps };
    }
  } finally {
    closeSync(file);
  }
}

/** The first whole lines of a type; others are not parsed. */
function firstOf<T extends Metrics>(lines: readonly string[], type: T['type'], count: number): T[] {
  const found: T[] = [];
  for (const text of lines) {
    if (found.length === count) break;
    const line = text.startsWith(`{"type":"${type}"`) && metricsOf(text);
    if (line) found.push(line as T);
  }
  return found;
}

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
