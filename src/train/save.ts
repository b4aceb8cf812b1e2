import { areFinite, checkpointPath, saveCheckpoint } from '../checkpoints/index.ts';
import { diverged } from './divergence.ts';
import { evaluateHeldOut } from './evaluation.ts';
import type { Run } from './run.ts';
import { withWholeOptimizer } from './shards.ts';

/** Held-out sequences whose loss must be finite before a checkpoint is written. */
const numProbes = 8;

/** Saves a checkpoint: rank 0 writes; with a sharded optimizer the others send their parts. */
export function save(run: Run): void {
  checkHealthy(run);
  const { config, out, progress, state, texts } = run;
  const { masters: weights } = state;
  withWholeOptimizer(state, (optimizer) => {
    saveCheckpoint(out, { config, progress, weights, optimizer, tokenizerJson: texts.tokenizer.json });
  });
  run.saved = checkpointPath(out, progress.step);
}

/**
 * Refuses, on every rank, a state that training cannot continue from: weights or moments that are not finite, or so large that
 * the loss is not. A loss that is merely high may come down again.
 */
function checkHealthy(run: Run): void {
  const { progress, state, group } = run;
  const [broken = 0] = group.sum([Number(!areFinite(state.masters, state.optimizer))]);
  const { step } = progress;
  if (broken > 0) throw diverged(run, `weights or moments of the optimizer were not finite at step ${step}`);
  const { loss } = evaluateHeldOut(run, { microBatchSize: numProbes, evalSamples: numProbes });
  if (!Number.isFinite(loss)) throw diverged(run, `the held-out loss was not finite at step ${step}`);
}
