import { DataError } from '../errors/index.ts';
import { familyOf, modelInputs } from '../model/index.ts';
import { drawSeed, Stream } from '../random/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import type { TrainedModel } from './trained-model.ts';

/** How a text is gone on with. */
export interface GenerateOptions {
  /** Tokens to write at most; the model may end the text before. */
  tokens: number;
  /** What logits are divided by: below 1 likely tokens become likelier; 0 takes the likeliest. */
  temperature: number;
  /** Only so many of the likeliest tokens are drawn from. */
  topK: number;
  seed: number;
}

/**
 * Goes on with a text, one token after the other: each is drawn from `softmax(logits / temperature)` over the `topK`
 * likeliest, a pure function of the seed. The model reads as many tokens back as it was trained on. Returns what it wrote.
 *
 * @throws DataError for a model that was not trained to go on with a text.
 */
export async function generate(trained: TrainedModel, prompt: string, options: GenerateOptions): Promise<string> {
  const { tokenizer, model, checkpoint } = trained;
  if (!familyOf(model.config).isCausal) {
    throw new DataError(
      `${checkpoint.path}: is a ${model.config.kind} model, which fills gaps (npx taper-lm fill); only gpt2 models write on`,
    );
  }
  const given = await tokenizer.encode(prompt);
  const ids = given.length > 0 ? [...given] : [tokenizer.sepId]; // a new text
  const start = ids.length;
  while (ids.length < start + options.tokens) {
    const next = nextToken(trained, ids.slice(-checkpoint.config.data.sequenceLength), options, ids.length);
    if (next === tokenizer.sepId) break;
    ids.push(next);
  }
  return tokenizer.decode(ids.slice(start));
}

function nextToken(
  { model, tokenizer, device }: TrainedModel,
  ids: number[],
  options: GenerateOptions,
  position: number,
): number {
  const { temperature, seed } = options;
  const topK = temperature === 0 ? 1 : Math.min(options.topK, tokenizer.vocabSize);
  return scope(() =>
    noGrad(() => {
      const text = {
        numSequences: 1,
        sequenceLength: ids.length,
        inputIds: Int32Array.from(ids),
        tokenTypeIds: new Int32Array(ids.length),
        documents: [[ids.length]],
      };
      const last = Tensor.from(BigInt64Array.of(BigInt(ids.length - 1)), [1], { device });
      // A vocabulary may be padded with numbers that stand for no piece.
      const logits = model.tokenLogits(model.encode(modelInputs(text, device)), last).narrow(1, 0, tokenizer.vocabSize);
      const { values, indices } = logits.to('float32').topk(topK);
      const [top, ...others] = values.toFloats();
      const likelihoods = [1, ...others.map((logit) => Math.exp((logit - top!) / temperature))];
      const total = likelihoods.reduce((sum, likelihood) => sum + likelihood, 0);
      const probabilities = likelihoods.map((likelihood) => likelihood / total);
      let left = drawSeed([position, 0, 0, Stream.generation], seed) / 2 ** 53;
      const chosen = probabilities.findIndex((probability) => {
        left -= probability;
        return left < 0;
      });
      return indices.toFloats()[Math.max(0, chosen)]!;
    }),
  );
}
