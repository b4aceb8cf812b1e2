import type { MicroBatch, TokenBatch } from '../data/index.ts';
import { type Device, Tensor } from '../tensor/index.ts';
import type { Pass } from './block.ts';
import type { ModelInputs, Transformer } from './transformer.ts';

/** The tensors of a batch that the model reads. */
export function modelInputs(batch: TokenBatch, device: Device): ModelInputs {
  const { numSequences: N, sequenceLength: T, documents } = batch;
  const inputs = {
    inputIds: Tensor.from(batch.inputIds, [N, T], { device }),
    tokenTypeIds: Tensor.from(batch.tokenTypeIds, [N, T], { device }),
  };
  return documents.every(([length]) => length === T) ? inputs : { ...inputs, documents };
}

/** The results of a forward pass with the pre-training heads. */
export interface PretrainingLosses {
  /** Summed over the M predicted tokens of the batch, in nats. */
  tokenSum: Tensor;
  /** Summed over the N sequences; absent when the batch has no next-sentence labels. */
  nspSum?: Tensor;
  /** How many of the M predicted tokens have the largest logit. */
  tokenHits: Tensor;
}

/**
 * The pre-training losses of BERT (Devlin et al. 2019) and GPT in float32: `−Σ log softmax(logits)[label]` over the predicted
 * tokens (masked ones, or every next one), and over the sequences for next-sentence prediction.
 */
export function pretrainingLosses(
  model: Transformer,
  batch: MicroBatch,
  device: Device,
  pass?: Pass,
): PretrainingLosses {
  return headLosses(model, model.encode(modelInputs(batch, device), pass), batch);
}

/** The same losses from existing hidden states [N, T, D]. */
export function headLosses(model: Transformer, hidden_NTD: Tensor, batch: MicroBatch): PretrainingLosses {
  const { device } = hidden_NTD;
  const indices = (data: Int32Array) => Tensor.from(data, [data.length], { device }).to('int64');
  const token = model.tokenLoss(hidden_NTD, indices(batch.predictedPositions), indices(batch.labels));
  const losses = { tokenSum: token.loss, tokenHits: token.hits };
  const nspLogits = batch.nextSentenceLabels && model.nextSentenceLogits?.(hidden_NTD).to('float32');
  if (!nspLogits) return losses;
  return { ...losses, nspSum: nspLogits.crossEntropy(indices(batch.nextSentenceLabels!), 'sum') };
}
