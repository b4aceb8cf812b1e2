import { batchOf } from '../data/batch.ts';
import type { TextTokenizer } from '../data/index.ts';
import { DataError } from '../errors/index.ts';
import { familyOf, modelInputs } from '../model/index.ts';
import { noGrad, scope, Tensor } from '../tensor/index.ts';
import { trainingCommand } from './other-kind.ts';
import type { TrainedModel } from './trained-model.ts';

const maskText = '[MASK]';
/** [CLS] before the text and [SEP] after it. */
const numBorderTokens = 2;
/** The most characters of a text that a message shows. */
const mostShown = 200;

/** A candidate token for a mask. */
export interface Prediction {
  /** The token as text. A leading `##` marks that it continues the word before it; in byte-level tokens, a missing leading space does. */
  token: string;
  probability: number;
  /** @deprecated The former name of `token`, for one release. */
  piece: string;
}

/** A text whose masks were filled. */
export interface FilledText {
  /** The most likely tokens of each mask, most likely first; each mask is predicted with the others still masked. */
  masks: Prediction[][];
  /** The text with the most likely token at each mask. */
  text: string;
  /** Tokens that the model read. */
  tokens: number;
}

/** A text with masks as the model reads it. */
export interface MaskedText {
  /** The text before, between and after the masks. */
  parts: readonly string[];
  ids: Int32Array;
  /** Where its masks are. */
  positions: Int32Array;
}

/**
 * The `top` most likely tokens for each [MASK] of a text: `softmax(logits)` over the vocabulary.
 *
 * @throws DataError for a model without a mask token, a text without [MASK], and a text longer than the model's positions.
 */
export async function fillMasks(trained: TrainedModel, text: string, top: number): Promise<FilledText> {
  const [filled] = fillTogether(trained, [{ ...(await encodeMasks(trained, text)), top }]);
  return filled!;
}

/**
 * Encodes a text with masks.
 *
 * @throws DataError for a model without a mask token, a text without [MASK], and a text longer than the model's positions.
 */
export async function encodeMasks(trained: TrainedModel, text: string): Promise<MaskedText> {
  const { tokenizer, model, checkpoint } = trained;
  if (familyOf(model.config).isCausal) {
    throw new DataError(
      `${checkpoint.path}: is a ${model.config.kind} model, which continues a prompt and has no ${maskText}; use npx taper-lm generate, or train one that fills masks: ${trainingCommand(checkpoint, 'fill')}`,
    );
  }
  const own = tokenizer.tokens([tokenizer.maskId])[0]!; // <mask> of a RoBERTa
  const parts = text.replaceAll(maskText, own).split(own);
  if (parts.length === 1) {
    throw new DataError(
      `"${text.length > mostShown ? `${text.slice(0, mostShown)}…` : text}": has no ${maskText}; write it where a word is to be predicted, as in "The ${maskText} sat."`,
    );
  }
  const ids = Int32Array.from([tokenizer.clsId, ...(await tokenizer.encode(parts.join(own))), tokenizer.sepId]);
  const { maxPositions } = model.config;
  if (ids.length > maxPositions) {
    throw new DataError(
      `the text has ${ids.length - numBorderTokens} tokens, but this model reads at most ${maxPositions - numBorderTokens}; shorten it`,
    );
  }
  const positions = Int32Array.from(ids.keys()).filter((i) => ids[i] === tokenizer.maskId);
  if (positions.length !== parts.length - 1) {
    throw new DataError(
      `${checkpoint.path}: its tokenizer does not encode each ${maskText} of the text as one token; ` +
        `list ${maskText} in added_tokens of its tokenizer.json, with single_word false`,
    );
  }
  return { parts, ids, positions };
}

/** Fills the masks of several texts in one forward pass, each with its `top` most likely tokens. */
export function fillTogether(trained: TrainedModel, texts: readonly (MaskedText & { top: number })[]): FilledText[] {
  const { tokenizer } = trained;
  const most = Math.max(...texts.map(({ top }) => top));
  const likeliest = predictTogether(trained, texts, Math.min(most, tokenizer.vocabSize));
  return texts.map(({ parts, ids, top }, i) => {
    const masks = likeliest[i]!.map((predictions) =>
      predictions.slice(0, top).map(({ id, probability }) => {
        const token = textOf(id, tokenizer);
        return { token, probability, piece: token };
      }),
    );
    return { masks, text: insert(parts, masks, tokenizer), tokens: ids.length };
  });
}

function textOf(id: number, tokenizer: TextTokenizer): string {
  return tokenizer.isSpecial[id] ? tokenizer.tokens([id])[0]! : tokenizer.decode([id]);
}

/** A token and its probability. */
interface Likely {
  id: number;
  probability: number;
}

/** The `top` most likely tokens, with their probabilities, from the hidden states at some positions of a sequence. */
export function predict(
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  ids: Int32Array,
  positions: Int32Array,
  top: number,
): Likely[][] {
  return predictTogether(trained, [{ ids, positions }], top)[0]!;
}

/** The same for several sequences in one forward pass. */
function predictTogether(
  { model, tokenizer, device }: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  sequences: readonly { ids: Int32Array; positions: Int32Array }[],
  top: number,
): Likely[][][] {
  const { padId } = tokenizer;
  const { maxPositions } = model.config;
  const batch = batchOf(
    sequences.map(({ ids }) => ({ ids, secondStart: ids.length })),
    { padId, maxPositions },
  );
  const places = sequences.flatMap(({ positions }, row) =>
    Array.from(positions, (position) => row * batch.sequenceLength + position),
  );
  return scope(() =>
    noGrad(() => {
      const hidden = model.encode(modelInputs(batch, device));
      const at = Tensor.from(BigInt64Array.from(places, BigInt), [places.length], { device });
      // A vocabulary may be padded with ids that have no token.
      const logits = model.tokenLogits(hidden, at).narrow(1, 0, tokenizer.vocabSize);
      const { values, indices } = logits.to('float32').softmax(-1).topk(top);
      const probabilities = values.toFloats();
      const pieceIds = indices.toFloats();
      let next = 0;
      const likely = (): Likely => ({ id: pieceIds[next]!, probability: probabilities[next++]! });
      return sequences.map(({ positions }) => Array.from(positions, () => Array.from({ length: top }, likely)));
    }),
  );
}

/**
 * The parts of a text with the first predictions between them; a token that continues a word is attached to it, and byte-level
 * tokens are joined as they are.
 */
function insert(parts: readonly string[], masks: readonly Prediction[][], { isByteLevel }: TextTokenizer): string {
  const joined = (text: string, token: string) => {
    if (isByteLevel) return text.trim() === '' ? token.trimStart() : text.trimEnd() + token;
    return token.startsWith('##') ? text.trimEnd() + token.slice(2) : text + token;
  };
  return masks.reduce((text, [best], i) => joined(text, best!.token) + parts[i + 1]!, parts[0]!);
}
