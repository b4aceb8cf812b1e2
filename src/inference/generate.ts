import { longestSequence } from '../config/phases.ts';
import type { TextTokenizer } from '../data/index.ts';
import { DataError } from '../errors/index.ts';
import { familyOf, KeyValueCache } from '../model/index.ts';
import { drawSeed, Stream } from '../random/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { trainingCommand } from './other-kind.ts';
import { type SamplingOptions, sampleFrom } from './sampling.ts';
import { firstStop, heldBack } from './stops.ts';
import type { TrainedModel } from './trained-model.ts';

/**
 * Tokens before the new ones that are decoded with them: decoded alone, the new ones would lose their first space with tokenizers
 * such as Llama 2's.
 */
const numContext = 4;

/** How a prompt is continued. */
export interface GenerateOptions extends SamplingOptions {
  /** The maximum number of new tokens; the model may end the text earlier. */
  tokens: number;
  seed: number;
  /** Generation stops before the first of these texts. */
  stop?: readonly string[];
}

/** How a text ended. */
export interface Generated {
  promptTokens: number;
  /** The number of new tokens. */
  tokens: number;
  /** Whether the model or a stop text ended the text; otherwise it has as many tokens as were asked for. */
  isEnded: boolean;
}

/**
 * Continues a prompt token by token, each drawn from `softmax(logits / temperature)`: a pure function of the seed. Keys and
 * values are cached, so each token costs only its own forward pass. The context is as long as in training; when it is full,
 * generation continues with its second half. After each token, yields the text that is final by then, which may be empty.
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
      `${checkpoint.path}: is a ${model.config.kind} model, which fills masks and cannot continue a prompt; use npx taper-lm fill, or train one that continues: ${trainingCommand(checkpoint, 'generate')}`,
    );
  }
  const ids = await promptIds(tokenizer, prompt);
  const start = ids.length;
  using reader = new Reader(trained);
  let shown = 0;
  /** Text that no later token changes, and where the tokens after it begin. */
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
 * The tokens of a prompt, as `AutoTokenizer` gives them: a published Llama saw <|begin_of_text|> before each of its texts.
 * Training here separates documents with only an end-of-text token; an empty prompt is replaced by that token.
 */
export async function promptIds(tokenizer: TextTokenizer, prompt: string): Promise<number[]> {
  const start = tokenizer.bosId < 0 ? [] : [tokenizer.bosId];
  const ids = [...start, ...(await tokenizer.encode(prompt))];
  return ids.length > 0 ? ids : [tokenizer.sepId];
}

/** Reads a growing text, each token once. */
class Reader implements Disposable {
  readonly #trained: TrainedModel;
  readonly #cache: KeyValueCache;
  /** The position in the text where the cache begins. */
  #from = 0;

  constructor(trained: TrainedModel) {
    const { model, device, checkpoint } = trained;
    this.#trained = trained;
    const capacity = longestSequence(checkpoint.config, checkpoint.progress.step);
    this.#cache = new KeyValueCache(model.config, { capacity, dtype: model.dtype, device });
  }

  /** Draws the token that follows a text. */
  next(ids: readonly number[], options: SamplingOptions & { seed: number }): number {
    const { tokenizer } = this.#trained;
    return scope(() =>
      noGrad(() => {
        // A vocabulary may be padded with ids that have no token.
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

  /** The logits of the token after a text: [1, V]. Reads the part of the text that was not read yet. */
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
