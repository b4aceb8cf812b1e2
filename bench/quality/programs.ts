import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { importHuggingFace } from '../../src/interop/index.ts';
import { readMetrics } from '../../src/runs/index.ts';
import { setsForBooks } from '../books.ts';
import { runCommand, runTrainer } from '../programs.ts';
import { type Rung, setsOf } from './rungs.ts';
import { cache, sequences, tokenizerFile } from './texts.ts';

/** A training of a rung. */
export interface RungTraining {
  rung: Rung;
  seed: number;
  steps: number;
  books: string;
  threads: number;
  /** The folder of the run; a training that was stopped there resumes. */
  out: string;
}

/** A program that trains rungs. */
interface Program {
  /** Trains, and names a checkpoint of taper. */
  train(training: RungTraining): string;
  /** Trains, and says how long a step took in the mean, in seconds. */
  time(training: RungTraining): number;
}

/** The programs by the names that rungs have for them. */
export const programs: Record<Rung['program'], Program> = {
  taper: {
    train(training) {
      pretrain(training, 250);
      return training.out;
    },
    time(training) {
      pretrain(training, 0);
      const lines = readMetrics(join(training.out, 'metrics.jsonl')).filter((line) => line.type === 'step');
      const timed = lines.slice(1); // memory is laid out in the first
      return timed.reduce((sum, { stepSeconds }) => sum + stepSeconds, 0) / timed.length;
    },
  },
  transformers: {
    train(training) {
      runTrainer(trainerFlags(training, 250));
      const checkpoint = join(training.out, 'imported');
      rmSync(checkpoint, { recursive: true, force: true });
      importHuggingFace(join(training.out, 'model'), checkpoint, () => {});
      return checkpoint;
    },
    time: (training) => runTrainer(trainerFlags(training, training.steps)).step_s_mean,
  },
};

function pretrain({ rung, seed, steps, books, threads, out }: RungTraining, saveEvery: number): void {
  const train = [
    `train.seed=${seed}`,
    `train.steps=${steps}`,
    `train.threads=${threads}`,
    `train.saveEvery=${saveEvery}`,
  ];
  const sets = [...setsOf(rung), ...setsForBooks(books, cache), ...train];
  runCommand(['pretrain', 'configs/quality.yaml', '--out', out, '--resume', '--set', ...sets]);
}

function trainerFlags({ seed, steps, threads, out }: RungTraining, saveEvery: number): string[] {
  const values = { sequences, tokenizer: tokenizerFile, out, seed, steps, threads, 'save-every': saveEvery };
  return [...Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]), '--bf16'];
}
