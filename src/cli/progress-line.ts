import cliProgress from 'cli-progress';

/** The widths of the bar, the widest first. */
const barSizes = [10, 5, 0];

/** What a progress line shows: the count, further parts with the most important first, and the time left. */
export interface ProgressStatus {
  /** Replaces `value/total`. */
  count?: string;
  parts: readonly string[];
  /** Undefined if unknown. */
  left: string | undefined;
}

/**
 * A line of progress that fits into `width` characters: `█████░░░░░ 50/100 loss 5.43 12k tokens/s 3m05s left`. If it is too
 * long, the bar shrinks, then the last parts are left out; the count and the time left stay.
 */
export function progressLine(
  value: number,
  total: number,
  { count: done = `${value}/${total}`, parts, left: time }: ProgressStatus,
  width: number,
): string {
  const left = time === undefined ? [] : [`${time} left`];
  const bar = (size: number) => '█'.repeat(Math.round((size * value) / total)).padEnd(size, '░');
  const line = (size: number, count: number) =>
    [...(size > 0 ? [bar(size)] : []), done, ...parts.slice(0, count), ...left].join(' ');
  for (let count = parts.length; count >= 0; count--) {
    const size = barSizes.find((size) => line(size, count).length <= width);
    if (size !== undefined) return line(size, count);
  }
  return (left[0] ?? done).slice(0, width);
}

/** A bar on standard error, redrawn in place. */
export function newBar(): cliProgress.SingleBar {
  return new cliProgress.SingleBar({
    format: (_options, { value, total, maxWidth }, status: ProgressStatus) =>
      progressLine(value, total, status, maxWidth),
    clearOnComplete: true,
    linewrap: true, // so that the cursor stays on the line in a terminal that has shrunk
    gracefulExit: false, // signals are the training loop's
  });
}
