import { DataError } from '../errors/index.ts';
import { type Draw, drawFor, type SampleKey, Stream } from '../random/index.ts';
import type { CorpusView } from './split.ts';
import type { TextTokenizer } from './tokenizer.ts';

const minWindow = 4; // a shorter document holds nothing to divide in two

/** Whether the documents that share a sequence are told apart, as `data.packing` names it. */
export const packings = ['none', 'documents'] as const;
/** What `data.packing` takes. */
export type Packing = (typeof packings)[number];

/** A sequence before masking and padding. */
export interface Sample {
  /** [length] With [CLS] and [SEP], where the objective has them. */
  ids: Int32Array;
  /** The lengths of the documents in it, one after the other; their sum is the length. */
  documents: readonly number[];
  /** The position of the second segment's first token, whose token types are 1; the length where there is none. */
  secondStart: number;
  /** Hugging Face's convention: 0 where the second segment follows the first, 1 where it is from elsewhere. */
  nextSentenceLabel?: 0 | 1;
}

/** The samples of a corpus view: `count` of them, made one by one on demand. */
export interface Samples {
  count: number;
  sequenceLength: number;
  tokenizer: TextTokenizer;
  /** Sample `key.sample` as `key.epoch` of a run with `key.seed` sees it: always the same for the same three. */
  read(key: SampleKey): Sample;
}

/**
 * Documents joined by the end of a text ([SEP] or <|endoftext|>), cut in windows across their borders: with `hasBorders` of T−2
 * tokens, `[CLS] … [SEP]`, else of T.
 *
 * With `packing: documents` each piece of a document in a window is a document of its own. With `hasBorders` the joint is then
 * `[SEP] [CLS]`, so that each has borders; where a cut falls into the joint, what is left of it belongs to its neighbour.
 * Source: RoBERTa's FULL-SENTENCES, arXiv 1907.11692, section 4.2.
 */
export function packedSamples(
  view: CorpusView,
  tokenizer: TextTokenizer,
  sequenceLength: number,
  { hasBorders, packing }: { hasBorders: boolean; packing: Packing },
): Samples {
  const { starts, lengths, tokens } = view;
  const { sepId, clsId } = tokenizer;
  const isApart = packing === 'documents';
  const numBefore = hasBorders ? 1 : 0;
  const windowLength = sequenceLength - 2 * numBefore;
  const joint = hasBorders && isApart ? [sepId, clsId] : [sepId];
  // What a window must have of a document before the next one is told apart from it: its end token, or text, [SEP] and [CLS].
  const leastBefore = joint.length + numBefore;
  const packedStarts = runningSum(lengths.map((length) => length + joint.length));

  const read = ({ sample }: SampleKey): Sample => {
    const ids = new Int32Array(sequenceLength).fill(sepId);
    if (hasBorders) ids[0] = clsId;
    const from = sample * windowLength;
    const to = from + windowLength;
    const placeOf = (at: number) => numBefore + at - from;
    const borders = [0];
    let at = from;
    for (let document = lastAtMost(packedStarts, from); at < to; document++) {
      const start = packedStarts[document]!;
      const end = start + lengths[document]!;
      if (isApart && start - leastBefore >= from) borders.push(placeOf(start) - numBefore);
      if (at < end)
        view.corpus.read(starts[document]! + at - start, ids.subarray(placeOf(at), placeOf(Math.min(end, to))));
      for (const [i, id] of joint.entries()) if (end + i >= from && end + i < to) ids[placeOf(end + i)] = id;
      at = end + joint.length;
    }
    return { ids, documents: gaps([...borders, sequenceLength]), secondStart: sequenceLength };
  };
  const count = Math.floor((tokens + joint.length * (lengths.length - 1)) / windowLength);
  return { count, sequenceLength, tokenizer, read };
}

/**
 * Windows of T−3 tokens within a document, spread evenly so that each token is in one and none is padded; a document shorter than
 * that is one short window. A window is divided in A and B at the sentence end nearest to a random point, B is replaced with
 * probability ½ by as long a run from another document, and the sequence is `[CLS] A [SEP] B [SEP]`.
 * Source: Devlin et al., "BERT", NAACL 2019, appendix A.2.
 *
 * @throws DataError where no document is long enough.
 */
export function pairedSamples(view: CorpusView, tokenizer: TextTokenizer, sequenceLength: number): Samples {
  const { corpus, starts, lengths } = view;
  const windowLength = sequenceLength - 3;
  const windowStarts = runningSum(lengths.map((n) => (n < minWindow ? 0 : Math.ceil(n / windowLength))));
  const tokenStarts = runningSum(lengths);
  const count = windowStarts[lengths.length]!;
  if (count === 0) {
    throw new DataError(
      `data: no document of ${lengths.length} has ${minWindow} tokens, which next-sentence pairs need; ` +
        'give longer documents or the objective mlm',
    );
  }

  const read = (key: SampleKey): Sample => {
    const document = lastAtMost(windowStarts, key.sample);
    const documentLength = lengths[document]!;
    const window = key.sample - windowStarts[document]!;
    const windows = windowStarts[document + 1]! - windowStarts[document]!;
    const size = Math.min(windowLength, documentLength);
    const offset = windows === 1 ? 0 : Math.round((window * (documentLength - size)) / (windows - 1));
    const tokens = new Int32Array(size);
    corpus.read(starts[document]! + offset, tokens);

    const draw = drawFor(key, Stream.pair);
    const split = splitPoint(tokens, tokenizer.isSentenceEnd, draw);
    const first = tokens.subarray(0, split);
    let second = tokens.subarray(split);
    let nextSentenceLabel: 0 | 1 = 0;
    if (draw(2) === 1) {
      const run = runElsewhere(view, tokenStarts, { document, offset, size }, second.length, draw);
      if (run) {
        second = new Int32Array(run.length);
        corpus.read(run.start, second);
        nextSentenceLabel = 1;
      }
    }
    const secondStart = first.length + 2;
    const ids = new Int32Array(secondStart + second.length + 1).fill(tokenizer.sepId);
    ids[0] = tokenizer.clsId;
    ids.set(first, 1);
    ids.set(second, secondStart);
    return { ids, documents: [ids.length], secondStart, nextSentenceLabel };
  };
  return { count, sequenceLength, tokenizer, read };
}

/** Where a window is divided: behind the sentence end nearest to a random point, or there where it has none. */
function splitPoint(tokens: Int32Array, isSentenceEnd: Uint8Array, draw: Draw): number {
  const point = 1 + draw(tokens.length - 1);
  for (let distance = 0; distance < tokens.length; distance++) {
    for (const split of [point - distance, point + distance]) {
      if (split >= 1 && split < tokens.length && isSentenceEnd[tokens[split - 1]!]) return split;
    }
  }
  return point;
}

/**
 * A run of `length` tokens from a random place in another document, or of all of it where it is shorter. In a view of
 * one document it is from a distant place in that one, and undefined where it would overlap the window.
 */
function runElsewhere(
  { starts, lengths, tokens }: CorpusView,
  tokenStarts: Float64Array,
  window: { document: number; offset: number; size: number },
  length: number,
  draw: Draw,
): { start: number; length: number } | undefined {
  const ownLength = lengths[window.document]!;
  if (tokens > ownLength) {
    let place = draw(tokens - ownLength);
    if (place >= tokenStarts[window.document]!) place += ownLength;
    const other = lastAtMost(tokenStarts, place);
    const runLength = Math.min(length, lengths[other]!);
    const offset = Math.min(place - tokenStarts[other]!, lengths[other]! - runLength);
    return { start: starts[other]! + offset, length: runLength };
  }
  const distance = Math.floor(ownLength / 4) + draw(Math.ceil(ownLength / 2));
  const offset = Math.min((window.offset + distance) % ownLength, ownLength - length);
  const overlaps = offset < window.offset + window.size && offset + length > window.offset;
  return overlaps ? undefined : { start: starts[window.document]! + offset, length };
}

/** [n + 1] The sum of all values before each, and of all. */
function runningSum(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, i) => {
    sums[i + 1] = sums[i]! + value;
  });
  return sums;
}

/** [n − 1] From each of ascending numbers to the next. */
function gaps(values: readonly number[]): number[] {
  return values.slice(1).map((value, i) => value - values[i]!);
}

/** The last index whose value is at most `limit`, in ascending values of which the first is. */
function lastAtMost(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= limit) low = middle;
    else high = middle;
  }
  return low;
}
