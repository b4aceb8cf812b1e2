import { DataError } from '../config/index.ts';
import type { MicroBatch } from '../data/index.ts';
import type { Pass, Transformer } from '../model/index.ts';
import { type Device, noGrad, scope } from '../tensor/index.ts';
import { pretrainingLosses } from './objective.ts';

/** The numbers of an evaluation. */
export interface Evaluation {
  /** tokenLoss + next-sentence loss */
  loss: number;
  /** Mean over the predicted tokens, in nats. */
  tokenLoss: number;
  /** The fraction of the predicted tokens whose likeliest piece is the right one. */
  tokenAccuracy: number;
  /** `exp(tokenLoss)` */
  perplexity: number;
  /** Tokens that were predicted. */
  tokens: number;
}

/**
 * Losses on held-out batches; means over all predicted tokens and sequences. Every block is on, nothing scaled and nothing
 * dropped out, unless a `pass` says otherwise.
 *
 * @throws DataError when nothing in the batches is to be predicted.
 */
export function evaluate(model: Transformer, batches: Iterable<MicroBatch>, device: Device, pass?: Pass): Evaluation {
  let tokenSum = 0;
  let nspSum = 0;
  let right = 0;
  let tokens = 0;
  let sequences = 0;
  for (const batch of batches) {
    scope(() =>
      noGrad(() => {
        const losses = pretrainingLosses(model, batch, device, pass);
        tokenSum += losses.tokenSum.item();
        nspSum += losses.nspSum?.item() ?? 0;
        right += losses.tokenHits.item();
        tokens += batch.predictedPositions.length;
        sequences += batch.numSequences;
      }),
    );
  }
  if (tokens === 0) {
    throw new DataError('the text to evaluate on has no piece that can be predicted; give other text');
  }
  const tokenLoss = tokenSum / tokens;
  const loss = tokenLoss + nspSum / sequences;
  return { loss, tokenLoss, tokenAccuracy: right / tokens, perplexity: Math.exp(tokenLoss), tokens };
}
