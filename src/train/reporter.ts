import type { PrepareProgress } from '../data/index.ts';
import type { EvalMetrics, StepMetrics } from './metrics.ts';

/** Who hears how a run goes; a command line shows it, a library user may ignore it. */
export interface Reporter {
  /** Something that was decided or done, once. */
  note(message: string): void;
  /** Something that is allowed but probably not meant. */
  warn(message: string): void;
  prepare?(progress: PrepareProgress): void;
  step?(metrics: StepMetrics): void;
  evaluation?(metrics: EvalMetrics): void;
}
