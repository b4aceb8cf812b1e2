import type { Samples, TextTokenizer } from '../data/index.ts';
import { type Draw, drawFor, Stream } from '../random/index.ts';

/** Tokens of a sentence that is neither a fragment nor too long for a line or two; shorter ones are drawn if no text is as long. */
const [shortest, longest] = [8, 30];
const shortestOfAll = 4;
/** Not every sample contains a sentence. */
const trialsEach = 20;

/** What is drawn, and by which seed. */
export interface Drawing {
  count: number;
  seed: number;
}

/** A sentence in a sample: its tokens are `ids[start]` … `ids[end − 1]`. */
export interface Sentence {
  ids: Int32Array;
  start: number;
  end: number;
}

/**
 * What `make` makes of sentences in a text, drawn by a seed: first a sample, then a sentence in it. `make` returns undefined for a
 * sentence that does not fit. Nothing is made twice.
 */
export function drawSentences<T>(
  samples: Samples,
  { count, seed }: Drawing,
  make: (sentence: Sentence, draw: Draw) => T | undefined,
): T[] {
  const made = new Map<string, T>();
  for (const least of [shortest, shortestOfAll]) {
    for (let trial = 0; made.size < count && trial < trialsEach * count; trial++) {
      const draw = drawFor({ seed, epoch: 0, sample: trial }, Stream.gap);
      const { ids } = samples.read({ seed, epoch: 0, sample: draw(samples.count) });
      const sentences = sentencesOf(ids, samples.tokenizer, least);
      if (sentences.length === 0) continue;
      const one = make(sentences[draw(sentences.length)]!, draw);
      if (one !== undefined) made.set(JSON.stringify(one), one); // the same one again counts once
    }
    if (made.size > 0) break;
  }
  return [...made.values()];
}

/** The complete sentences of at least that many tokens in a sample: from after the end of one to the end of the next. */
function sentencesOf(ids: Int32Array, { isSentenceEnd, isSpecial }: TextTokenizer, least: number): Sentence[] {
  const ends = Array.from(ids.keys()).filter((i) => isSentenceEnd[ids[i]!]);
  return ends.slice(1).flatMap((last, i) => {
    const [start, end] = [ends[i]! + 1, last + 1];
    const isPlain = !ids.subarray(start, end).some((id) => isSpecial[id]);
    return isPlain && end - start >= least && end - start <= longest ? [{ ids, start, end }] : [];
  });
}
