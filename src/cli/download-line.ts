import type { DownloadProgress } from '../data/index.ts';
import { duration, rounded } from '../report/format.ts';
import { newBar, type ProgressStatus } from './progress-line.ts';

/** Without a terminal: one line every few seconds. */
const lineMs = 5000;

/** Shows downloads on standard error; ending or disposing it removes the line until the next download. */
interface DownloadLine extends Disposable {
  show(progress: DownloadProgress): void;
  end(): void;
}

/** A bar for each file if standard error is a terminal, else a line by `say` every few seconds. */
export function downloadLine(
  say: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): DownloadLine {
  const bar = process.stderr.isTTY ? newBar() : undefined;
  let started: { name: string; ms: number; bytes: number } | undefined;
  let saidMs = performance.now();
  let isPausing = false;
  const end = () => bar?.stop();
  return {
    show({ name, bytesDone, bytes, pause }) {
      const now = performance.now();
      if (started?.name !== name) started = { name, ms: now, bytes: bytesDone };
      const speed = (bytesDone - started.bytes) / Math.max(1, now - started.ms); // KB/s
      const size = `${megabytes(bytesDone)}${bytes === undefined ? '' : ` of ${megabytes(bytes)}`} MB`;
      const waits = pause && `${pause.reason}; retrying in ${pause.secondsLeft} s`;
      if (bar === undefined) {
        if (pause ? isPausing : now - saidMs < lineMs) return;
        isPausing = pause !== undefined;
        saidMs = now;
        say(`downloading ${name}: ${size}${waits ? `: ${waits}` : ''}`);
        return;
      }
      if (bytesDone === bytes) {
        end();
        return;
      }
      const left = bytes === undefined || speed === 0 ? undefined : duration((bytes - bytesDone) / speed / 1000);
      const status: ProgressStatus = {
        count: size,
        parts: waits ? [waits, shortName(name)] : [shortName(name), `${rounded(speed / 1000)} MB/s`],
        left,
      };
      const total = bytes ?? Number.POSITIVE_INFINITY;
      if (bar.isActive) bar.update(bytesDone, status);
      else bar.start(total, bytesDone, status);
      bar.setTotal(total);
    },
    end,
    [Symbol.dispose]: end,
  };
}

const megabytes = (bytes: number) => (bytes < 1e7 ? (bytes / 1e6).toFixed(1) : (bytes / 1e6).toFixed(0));
/** The file name without its folders. */
const shortName = (name: string) => name.split('/').at(-1)!;
