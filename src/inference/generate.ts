import { longestSequence } from '../config/phases.ts';
import type { TextTokenizer } from '../data/index.ts';
import { DataError } from '../errors/index.ts';
import { familyOf, KeyValueCache } from '../model/index.ts';
import { drawSeed, Stream } from '../random/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { type SamplingOptions, sampleFrom } from './sampling.ts';
import { firstStop, heldBack } from './stops.ts';
import type { TrainedModel } from './trained-model.ts';

/** Tokens before the new ones that are decoded with them: alone, they would lose their first space with tokenizers such as Llama 2's. */
const numContext = 4;

/** How a prompt is continued. */
export interface GenerateOptions extends SamplingOptions {
  /** Tokens to write at most; the model may end the text before. */
  tokens: number;
  seed: number;
  /** Texts before which it ends. */
  stop?: readonly string[];
}

/** How a text ended. */
export interface Generated {
  promptTokens: number;
  /** Tokens that were written. */
  tokens: number;
  /** Whether the model ended the text, or one of the texts to stop before; else it has as many tokens as were asked for. */
  isEnded: boolean;
}

/**
 * Continues a prompt, one token after the other, each drawn from `softmax(logits / temperature)`: a pure function of the seed.
 * A token costs its own forward pass: keys and values of those before it are kept. The model reads as many tokens back as it was
 * trained on; where they are full, it goes on with the second half of them. Yields after each token the text that is final by then, which may be empty.
 *
 * @throws DataError for a model that was not trained to continue a prompt.
 */
export async function* generate(
  trained: TrainedModel,
  prompt: string,
  { tokens, stop = [], ...options }: GenerateOptions,
): AsyncGenerator<string, Generated> {
  const { tokenizer, model, checkpoint } = trained;
  if (!familyOf(model.config).isCausal) {
    throw new DataError(
      `${checkpoint.path}: is a ${model.config.kind} model, which fills gaps (npx taper-lm fill); it does not continue a prompt`,
    );
  }
  const ids = await promptIds(tokenizer, prompt);
  const start = ids.length;
  using reader = new Reader(trained);
  let shown = 0;
  /** Text that no later token changes, and where the tokens behind it begin. */
  let [settled, from] = ['', start];
  const writtenText = () => {
    const context = ids.slice(Math.max(0, from - numContext), from);
    return settled + tokenizer.decode([...context, ...ids.slice(from)]).slice(tokenizer.decode(context).length);
  };
  const ended = (isEnded: boolean): Generated => ({ promptTokens: start, tokens: ids.length - start, isEnded });
  while (ids.length < start + tokens) {
    const next = reader.next(ids, options);
    if (next === tokenizer.sepId) {
      yield writtenText().slice(shown);
      return ended(true);
    }
    ids.push(next);
    const text = writtenText();
    const end = firstStop(text, stop);
    if (end >= 0) {
      yield text.slice(shown, end);
      return ended(true);
    }
    const held = heldBack(text, stop);
    if (held === 0) [settled, from] = [text, ids.length];
    const safe = Math.max(shown, text.length - held);
    yield text.slice(shown, safe);
    shown = safe;
  }
  yield writtenText().slice(shown);
  return ended(false);
}

/**
 * The tokens of a prompt, as `AutoTokenizer` gives them: a published Llama saw <|begin_of_text|> before each of its texts. Training here
 * separates documents with the end of a text alone; the next text comes after that, also where nothing is given.
 */
export async function promptIds(tokenizer: TextTokenizer, prompt: string): Promise<number[]> {
  const start = tokenizer.bosId < 0 ? [] : [tokenizer.bosId];
  const ids = [...start, ...(await tokenizer.encode(prompt))];
  return ids.length > 0 ? ids : [tokenizer.sepId];
}

/** Reads a text that grows, each token once. */
class Reader implements Disposable {
  readonly #trained: TrainedModel;
  readonly #cache: KeyValueCache;
  /** Where in the text the cache begins. */
  #from = 0;

  constructor(trained: TrainedModel) {
    const { model, device, checkpoint } = trained;
    this.#trained = trained;
    const capacity = longestSequence(checkpoint.config, checkpoint.progress.step);
    this.#cache = new KeyValueCache(model.config, { capacity, dtype: model.dtype, device });
  }

  /** The token that is drawn to stand behind a text. */
  next(ids: readonly number[], options: SamplingOptions & { seed: number }): number {
    const { tokenizer } = this.#trained;
    return scope(() =>
      noGrad(() => {
        // A vocabulary may be padded with numbers that stand for no token.
        const logits = this.#logits(ids).narrow(1, 0, tokenizer.vocabSize);
        const topK = options.temperature === 0 ? 1 : Math.min(options.topK, tokenizer.vocabSize);
        const { values, indices } = logits.to('float32').topk(topK);
        const draw = drawSeed([ids.length, 0, 0, Stream.generation], options.seed) / 2 ** 53;
        return indices.toFloats()[sampleFrom(values.toFloats(), options, draw)]!;
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  /** Of the token behind a text: [1, V]. What of the text was not read yet is read. */
  #logits(ids: readonly number[]): Tensor {
    const { model, device } = this.#trained;
    const cache = this.#cache;
    if (ids.length - this.#from > cache.capacity) {
      this.#from = ids.length - Math.ceil(cache.capacity / 2);
      cache.length = 0;
    }
    const unread = Int32Array.from(ids.slice(this.#from + cache.length));
    const shape = [1, unread.length];
    const hidden = model.encode({
      inputIds: Tensor.from(unread, shape, { device }),
      tokenTypeIds: Tensor.zeros(shape, { dtype: 'int32', device }),
      cache,
    });
    cache.length += unread.length;
    return model.tokenLogits(hidden, Tensor.from(BigInt64Array.of(BigInt(unread.length - 1)), [1], { device }));
  }
}
