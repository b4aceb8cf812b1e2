import { lastConfig, loadConfig } from '../src/config/index.ts';
import type { StepWork } from '../src/depth/index.ts';
import { workOf } from '../src/train/index.ts';

/** The work of a step of pre-training BERT as `taper-lm bench step` does it: masked tokens and next sentences, AdamW. */
export function bertWork(options: {
  layers: number;
  hidden: number;
  batch: number;
  seq: number;
  vocab: number;
}): StepWork {
  const { layers, hidden, batch, seq, vocab } = options;
  const { config } = loadConfig({
    overrides: {
      model: { layers, hiddenSize: hidden, vocabSize: vocab, maxPositions: seq },
      data: { sequenceLength: seq },
      train: { steps: 1, batchSize: batch },
    },
  });
  return workOf(lastConfig(config), Math.floor(batch * seq * 0.15));
}
