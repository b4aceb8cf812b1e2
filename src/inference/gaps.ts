import type { Samples, TextTokenizer } from '../data/index.ts';
import { familyOf } from '../model/index.ts';
import type { Gap } from '../runs/index.ts';
import { predict } from './fill.ts';
import { type Drawing, drawSentences, type Sentence } from './sentences.ts';
import type { TrainedModel } from './trained-model.ts';

const numGuesses = 3;

/**
 * Gaps in sentences of held-out text, drawn by a seed: a sample, a sentence in it, and a whole word of that sentence that is one
 * token. A model that masks reads the sample with only that word masked, a causal one what stands before the word.
 */
export function heldOutGaps(
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  samples: Samples,
  drawing: Drawing,
): Gap[] {
  const { tokenizer } = trained;
  return drawSentences(samples, drawing, (sentence, draw) => {
    const { ids, start, end } = sentence;
    const places = wordsIn(sentence, tokenizer);
    if (places.length === 0) return undefined;
    const place = places[draw(places.length)]!;
    const text = (from: number, to: number) => tokenizer.decode(ids.subarray(from, to)).trim();
    const [before, after] = [text(start, place), text(place + 1, end)];
    return {
      before: before === '' ? '' : `${before} `,
      right: text(place, place + 1),
      after: /^[\p{L}\p{N}]/u.test(after) ? ` ${after}` : after,
      guesses: guessesAt(trained, ids, place),
    };
  });
}

function guessesAt(
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  ids: Int32Array,
  place: number,
): Gap['guesses'] {
  const { tokenizer, model } = trained;
  const [likeliest] = familyOf(model.config).isCausal
    ? predict(trained, ids.subarray(0, place), Int32Array.of(place - 1), tokenizer.vocabSize)
    : predict(trained, ids.with(place, tokenizer.maskId), Int32Array.of(place), tokenizer.vocabSize);
  const guesses: Gap['guesses'] = [];
  for (const { id, probability } of likeliest!) {
    if (isWord(id, tokenizer)) guesses.push({ text: tokenizer.decode([id]).trim(), probability });
    if (guesses.length === numGuesses) break;
  }
  return guesses;
}

/** Whether a token can be a whole word of letters. */
function isWord(id: number, tokenizer: TextTokenizer): boolean {
  const { isContinuation, isSpecial } = tokenizer;
  return !isContinuation[id] && !isSpecial[id] && /^\p{L}[\p{L}\p{M}]*$/u.test(tokenizer.decode([id]).trim());
}

/** The positions of tokens that are whole words of the text: not parts of a longer one such as `here's`. */
function wordsIn({ ids, start, end }: Sentence, tokenizer: TextTokenizer): number[] {
  const joins = (id: number) => /^['’‑-]$/u.test(tokenizer.decode([id]).trim());
  return Array.from({ length: end - start - 1 }, (_, i) => start + i).filter(
    (i) =>
      isWord(ids[i]!, tokenizer) &&
      !tokenizer.isContinuation[ids[i + 1]!] &&
      !joins(ids[i + 1]!) &&
      !(i > start && joins(ids[i - 1]!)),
  );
}
