import { DataError } from '../errors/index.ts';
import { type Draw, drawFor, type SampleKey, Stream } from '../random/index.ts';
import { inEpochs, isReadInBlocks } from './sampler.ts';
import { boundsIn, type CorpusView } from './split.ts';
import { lastAtMost, runningSum } from './sums.ts';
import type { TextTokenizer } from './tokenizer.ts';

const minWindow = 4; // a shorter document cannot be split in two
/** If samples are read in blocks, random second segments come from this many following tokens, so that few places are read. */
const nearby = 2 ** 20;

/** Whether documents that share a sequence are separated, as `data.packing` names it. */
export const packings = ['none', 'documents'] as const;
/** What `data.packing` takes. */
export type Packing = (typeof packings)[number];

/** A sequence before masking and padding. */
export interface Sample {
  /** [length] With [CLS] and [SEP], if the objective uses them. */
  ids: Int32Array;
  /** The lengths of the documents in it, one after the other; their sum is the length. */
  documents: readonly number[];
  /** The position of the second segment's first token, whose token types are 1; the length if there is none. */
  secondStart: number;
  /** Hugging Face's convention: 0 if the second segment follows the first, 1 if it is from elsewhere. */
  nextSentenceLabel?: 0 | 1;
}

/** The samples of one or more texts: `count` of them, made one by one on demand. */
export interface Samples {
  count: number;
  sequenceLength: number;
  tokenizer: TextTokenizer;
  /** The sample at a position of a run with a seed, counted from 0. */
  at(position: number, seed: number): SampleKey;
  /** Sample `key.sample` as epoch `key.epoch` of a run with `key.seed` sees it: always the same for the same three. */
  read(key: SampleKey): Sample;
}

/**
 * Documents joined by the end-of-text token ([SEP] or <|endoftext|>), cut into windows across their borders: of T−2 tokens with
 * `hasBorders`, `[CLS] … [SEP]`, otherwise of T.
 *
 * With `packing: documents` each part of a document in a window is a document of its own. With `hasBorders` the joint is then
 * `[SEP] [CLS]`, so that each has borders; if a cut falls into the joint, the rest of it belongs to its neighbour.
 * Source: RoBERTa's FULL-SENTENCES, arXiv 1907.11692, section 4.2.
 */
export function packedSamples(
  view: CorpusView,
  tokenizer: TextTokenizer,
  sequenceLength: number,
  { hasBorders, packing }: { hasBorders: boolean; packing: Packing },
): Samples {
  const { corpus, pieces, tokens } = view;
  const { sepId, clsId } = tokenizer;
  const isApart = packing === 'documents';
  const numBefore = hasBorders ? 1 : 0;
  const windowLength = sequenceLength - 2 * numBefore;
  const joint = hasBorders && isApart ? [sepId, clsId] : [sepId];
  // What a window must contain of a document before the next one is separated from it: its end token, or text, [SEP] and [CLS].
  const leastBefore = joint.length + numBefore;
  const packedStarts = runningSum(pieces, ({ start, end, documents }) => end - start + joint.length * documents);
  const boundsOf = boundsIn(view);

  const read = ({ sample }: SampleKey): Sample => {
    const ids = new Int32Array(sequenceLength).fill(sepId);
    if (hasBorders) ids[0] = clsId;
    const from = sample * windowLength;
    const to = from + windowLength;
    const placeOf = (at: number) => numBefore + at - from;
    const borders = [0];
    let at = from;
    for (let piece = lastAtMost(packedStarts, from); at < to; piece++) {
      const bounds = boundsOf(piece);
      for (let document = 0; document < bounds.length - 1 && at < to; document++) {
        const start = packedStarts[piece]! + bounds[document]! - bounds[0]! + document * joint.length;
        const end = start + bounds[document + 1]! - bounds[document]!;
        if (end + joint.length <= at) continue; // before the window
        if (isApart && start - leastBefore >= from) borders.push(placeOf(start) - numBefore);
        if (at < end)
          corpus.read(bounds[document]! + at - start, ids.subarray(placeOf(at), placeOf(Math.min(end, to))));
        for (const [i, id] of joint.entries()) if (end + i >= from && end + i < to) ids[placeOf(end + i)] = id;
        at = end + joint.length;
      }
    }
    return { ids, documents: gaps([...borders, sequenceLength]), secondStart: sequenceLength };
  };
  const count = Math.floor((tokens + joint.length * (view.documents - 1)) / windowLength);
  return { count, sequenceLength, tokenizer, at: inEpochs(count), read };
}

/**
 * Windows of T−3 tokens within a document, spread evenly so that each token is in one and none is padded; a shorter document is
 * one short window. A window is split into A and B at the sentence end nearest to a random point, B is replaced with probability
 * ½ by a run of the same length from another document, and the sequence is `[CLS] A [SEP] B [SEP]`.
 * Source: Devlin et al., "BERT", NAACL 2019, appendix A.2.
 *
 * @throws DataError if no document is long enough.
 */
export function pairedSamples(view: CorpusView, tokenizer: TextTokenizer, sequenceLength: number): Samples {
  const { corpus, pieces } = view;
  const windowLength = sequenceLength - 3;
  const windowsOf = (length: number) => (length < minWindow ? 0 : Math.ceil(length / windowLength));
  const boundsOf = boundsIn(view);
  const windowStarts = runningSum(pieces, (_, piece) =>
    gaps(boundsOf(piece)).reduce((total, length) => total + windowsOf(length), 0),
  );
  const tokenStarts = runningSum(pieces, ({ start, end }) => end - start);
  const documentAt = (place: number): Run & { before: number } => {
    const piece = lastAtMost(tokenStarts, place);
    const bounds = boundsOf(piece);
    const document = lastAtMost(bounds.subarray(0, -1), place - tokenStarts[piece]! + bounds[0]!);
    const start = bounds[document]!;
    return { start, length: bounds[document + 1]! - start, before: tokenStarts[piece]! + start - bounds[0]! };
  };
  const count = windowStarts[pieces.length]!;
  const reach = isReadInBlocks(count) ? nearby : view.tokens;
  if (count === 0) {
    throw new DataError(
      `data: no document (of ${view.documents}) has the ${minWindow} tokens that next-sentence pairs need; ` +
        'give longer documents, or set data.objective to mlm',
    );
  }

  const read = (key: SampleKey): Sample => {
    const piece = lastAtMost(windowStarts, key.sample);
    const bounds = boundsOf(piece);
    let window = key.sample - windowStarts[piece]!;
    let document = 0;
    const lengthNow = () => bounds[document + 1]! - bounds[document]!;
    for (; window >= windowsOf(lengthNow()); document++) window -= windowsOf(lengthNow());
    const start = bounds[document]!;
    const own = { start, length: lengthNow(), before: tokenStarts[piece]! + start - bounds[0]! };
    const windows = windowsOf(own.length);
    const size = Math.min(windowLength, own.length);
    const offset = windows === 1 ? 0 : Math.round((window * (own.length - size)) / (windows - 1));
    const tokens = new Int32Array(size);
    corpus.read(start + offset, tokens);

    const draw = drawFor(key, Stream.pair);
    const split = splitPoint(tokens, tokenizer.isSentenceEnd, draw);
    const first = tokens.subarray(0, split);
    let second = tokens.subarray(split);
    let nextSentenceLabel: 0 | 1 = 0;
    if (draw(2) === 1) {
      const run = runElsewhere({ total: view.tokens, reach, own, offset, size, documentAt }, second.length, draw);
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
  return { count, sequenceLength, tokenizer, at: inEpochs(count), read };
}

/** Where a window is split: after the sentence end nearest to a random point, or at that point if it has none. */
function splitPoint(tokens: Int32Array, isSentenceEnd: Uint8Array, draw: Draw): number {
  const point = 1 + draw(tokens.length - 1);
  for (let distance = 0; distance < tokens.length; distance++) {
    for (const split of [point - distance, point + distance]) {
      if (split >= 1 && split < tokens.length && isSentenceEnd[tokens[split - 1]!]) return split;
    }
  }
  return point;
}

/** A run of tokens of a corpus. */
interface Run {
  start: number;
  length: number;
}

/** A window in a document of a view of `total` tokens; `before` counts those before the document, `documentAt` finds one by them. */
interface Window {
  total: number;
  /** How far after the document another one may be. */
  reach: number;
  own: Run & { before: number };
  offset: number;
  size: number;
  documentAt(place: number): Run & { before: number };
}

/**
 * A run of `length` tokens from a random place in another document, or all of that if it is shorter. In a view of one document it
 * is from a distant place in that one, and undefined if it would overlap the window.
 */
function runElsewhere(
  { total, reach, own, documentAt, ...window }: Window,
  length: number,
  draw: Draw,
): Run | undefined {
  if (total > own.length) {
    const others = total - own.length;
    let place = reach < others ? (own.before + draw(reach)) % others : draw(others);
    if (place >= own.before) place += own.length;
    const other = documentAt(place);
    const runLength = Math.min(length, other.length);
    return { start: other.start + Math.min(place - other.before, other.length - runLength), length: runLength };
  }
  const distance = Math.floor(own.length / 4) + draw(Math.ceil(own.length / 2));
  const offset = Math.min((window.offset + distance) % own.length, own.length - length);
  const overlaps = offset < window.offset + window.size && offset + length > window.offset;
  return overlaps ? undefined : { start: own.start + offset, length };
}

/** [n − 1] From each of ascending numbers to the next. */
function gaps(values: ArrayLike<number>): number[] {
  return Array.from({ length: values.length - 1 }, (_, i) => values[i + 1]! - values[i]!);
}
