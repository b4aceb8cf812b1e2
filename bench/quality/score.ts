import { heldOutBatches, makeMask, prepareCorpus, samplesOf, wholeCorpus } from '../../src/data/index.ts';
import { type Evaluation, evaluate, openTrained } from '../../src/inference/index.ts';

/** Held-out text, cut and masked in one way for all rungs, whatever they were trained with. */
const [sequenceLength, maskRate, limit] = [128, 0.15, 8192];

/** How well a checkpoint predicts masked tokens of the held-out books. */
export async function score(
  checkpoint: string,
  { valid, cache }: { valid: string[]; cache: string },
): Promise<Evaluation> {
  using trained = openTrained(checkpoint, { warn: console.warn, device: 'cpu', asTrained: true });
  const { tokenizer, model, device } = trained;
  const corpus = await prepareCorpus({ paths: valid, tokenizer, cacheDir: cache, textField: 'text' });
  try {
    const samples = samplesOf(wholeCorpus(corpus), { tokenizer, sequenceLength, objective: 'mlm' });
    const mask = makeMask(tokenizer, { objective: 'mlm', maskRate });
    return evaluate(model, heldOutBatches(samples, { limit, size: 32, mask }), device);
  } finally {
    corpus.close();
  }
}
