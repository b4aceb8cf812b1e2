import type { Samples, TextTokenizer } from '../data/index.ts';
import { type Draw, drawFor, Stream } from '../random/index.ts';
import { predict } from './fill.ts';
import type { TrainedModel } from './trained-model.ts';

/** A word that was taken out of a sentence, and what a model would put there. */
export interface Gap {
  before: string;
  after: string;
  right: string;
  /** The most likely tokens, most likely first. */
  guesses: { text: string; probability: number }[];
}

const numGuesses = 3;
/** Tokens of a sentence that is neither a fragment nor too long for a line or two. */
const [shortest, longest] = [8, 30];

/**
 * Gaps in sentences of held-out text, drawn by a seed: a sample, a sentence in it, and a whole word of that sentence. The model
 * reads the sample with only that word masked.
 */
export function heldOutGaps(
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  samples: Samples,
  { count, seed }: { count: number; seed: number },
): Gap[] {
  const gaps: Gap[] = [];
  // Not every sample contains a sentence.
  for (let trial = 0; gaps.length < count && trial < 20 * count; trial++) {
    const draw = drawFor({ seed, epoch: 0, sample: trial }, Stream.gap);
    const { ids } = samples.read({ seed, epoch: 0, sample: draw(samples.count) });
    const gap = gapIn(ids, trained, draw);
    if (gap !== undefined) gaps.push(gap);
  }
  return gaps;
}

function gapIn(
  ids: Int32Array,
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  draw: Draw,
): Gap | undefined {
  const { tokenizer } = trained;
  const sentences = sentencesOf(ids, tokenizer);
  if (sentences.length === 0) return undefined;
  const { start, end } = sentences[draw(sentences.length)]!;
  const words = wordsBetween(ids, { start, end }, tokenizer);
  if (words.length === 0) return undefined;
  const place = words[draw(words.length)]!;
  const [likeliest] = predict(trained, ids.with(place, tokenizer.maskId), Int32Array.of(place), numGuesses);
  const text = (from: number, to: number) => tokenizer.decode(ids.subarray(from, to)).trim();
  return {
    before: text(start, place),
    after: text(place + 1, end),
    right: text(place, place + 1),
    guesses: likeliest!.map(({ id, probability }) => ({ text: tokenizer.decode([id]).trim(), probability })),
  };
}

interface Span {
  start: number;
  end: number;
}

/** The complete sentences in a sample: from after the end of one to the end of the next. */
function sentencesOf(ids: Int32Array, { isSentenceEnd, isSpecial }: TextTokenizer): Span[] {
  const ends = Array.from(ids.keys()).filter((i) => isSentenceEnd[ids[i]!]);
  return ends.slice(1).flatMap((last, i) => {
    const span = { start: ends[i]! + 1, end: last + 1 };
    const length = span.end - span.start;
    const isPlain = !ids.subarray(span.start, span.end).some((id) => isSpecial[id]);
    return isPlain && length >= shortest && length <= longest ? [span] : [];
  });
}

/** The positions of tokens that are whole words of letters. */
function wordsBetween(ids: Int32Array, { start, end }: Span, tokenizer: TextTokenizer): number[] {
  const { isContinuation } = tokenizer;
  return Array.from({ length: end - start - 1 }, (_, i) => start + i).filter(
    (i) =>
      !isContinuation[ids[i]!] && !isContinuation[ids[i + 1]!] && /^\p{L}+$/u.test(tokenizer.decode([ids[i]!]).trim()),
  );
}
