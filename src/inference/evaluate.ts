import { type MicroBatch, type Objective, objectives } from '../data/index.ts';
import { alone, type ProcessGroup } from '../distributed/index.ts';
import { DataError } from '../errors/index.ts';
import { type Pass, pretrainingLosses, type Transformer } from '../model/index.ts';
import type { EvalMetrics } from '../runs/index.ts';
import { type Device, noGrad, scope } from '../tensor/index.ts';

/** The results of an evaluation. */
export interface Evaluation {
  /** tokenLoss + next-sentence loss */
  loss: number;
  /** Mean over the predicted tokens, in nats. */
  tokenLoss: number;
  /** The accuracy: the fraction of the predicted tokens that the model ranks first. */
  tokenAccuracy: number;
  /** `exp(tokenLoss)` */
  perplexity: number;
  /** Tokens that were predicted. */
  tokens: number;
}

/**
 * Losses on held-out batches, each rank of a group with its own; means over all predicted tokens and sequences. The model is
 * dense, without scaling or dropout, unless `pass` says otherwise.
 *
 * @throws DataError when nothing in the batches is to be predicted.
 */
export function evaluate(
  model: Transformer,
  batches: Iterable<MicroBatch>,
  device: Device,
  { pass, group = alone }: { pass?: Pass; group?: ProcessGroup } = {},
): Evaluation {
  const own = { tokenSum: 0, nspSum: 0, right: 0, tokens: 0, sequences: 0 };
  for (const batch of batches) {
    scope(() =>
      noGrad(() => {
        const losses = pretrainingLosses(model, batch, device, pass);
        own.tokenSum += losses.tokenSum.item();
        own.nspSum += losses.nspSum?.item() ?? 0;
        own.right += losses.tokenHits.item();
        own.tokens += batch.predictedPositions.length;
        own.sequences += batch.numSequences;
      }),
    );
  }
  const [tokenSum = 0, nspSum = 0, right = 0, tokens = 0, sequences = 0] = group.sum(Object.values(own));
  if (tokens === 0) {
    throw new DataError('the text to evaluate on has no token that can be predicted; give another text');
  }
  const tokenLoss = tokenSum / tokens;
  const loss = tokenLoss + nspSum / sequences;
  return { loss, tokenLoss, tokenAccuracy: right / tokens, perplexity: Math.exp(tokenLoss), tokens };
}

/** The results of an evaluation, under the names of the objective's metrics. */
export function evaluationNumbers(
  objective: Objective,
  evaluation: Evaluation,
): Omit<EvalMetrics, 'type' | 'step' | 'split' | 'examples'> {
  const { tokenLoss, tokenAccuracy, loss, perplexity, tokens } = evaluation;
  const name = objectives[objective].loss;
  return { loss, [`${name}Loss`]: tokenLoss, [`${name}Accuracy`]: tokenAccuracy, perplexity, tokens };
}
