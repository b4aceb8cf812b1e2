import type { Corpus } from './corpus.ts';
import { permute } from './sampler.ts';

/** A part of a corpus: a run of tokens from each of some of its documents. */
export interface CorpusView {
  corpus: Corpus;
  /** The position in the corpus of each run's first token. */
  starts: Float64Array;
  lengths: Float64Array;
  /** The sum of `lengths`. */
  tokens: number;
}

/** A view of everything in a corpus, but the documents of a list. */
export function wholeCorpus(corpus: Corpus, dropped?: Uint32Array): CorpusView {
  return splitCorpus(corpus, 0, dropped).train;
}

/**
 * Divides a corpus into training and held-out text: documents in a pseudo-random order that never changes go to
 * `valid` until it has `round(validFraction · tokens)` tokens; the document that would be too much is cut, and its
 * tail goes there. Hence one huge document is divided as well as many. The documents of a list are left out as if they were empty.
 */
export function splitCorpus(
  corpus: Corpus,
  validFraction: number,
  dropped: Uint32Array = new Uint32Array(),
): { train: CorpusView; valid: CorpusView } {
  const { documentStarts } = corpus;
  const { documents } = corpus.index;
  let { tokens } = corpus.index;
  const ends = documentStarts.slice(1);
  for (const document of dropped) {
    tokens -= ends[document]! - documentStarts[document]!;
    ends[document] = documentStarts[document]!;
  }
  const validLengths = new Float64Array(documents);
  let missing = Math.round(validFraction * tokens);
  for (let i = 0; missing > 0 && i < documents; i++) {
    const document = permute(i, documents, { seed: 0, epoch: 0 });
    const length = ends[document]! - documentStarts[document]!;
    validLengths[document] = Math.min(length, missing);
    missing -= validLengths[document]!;
  }
  return {
    train: viewOf(
      corpus,
      documentStarts.subarray(0, documents),
      ends.map((end, i) => end - validLengths[i]!),
    ),
    valid: viewOf(
      corpus,
      ends.map((end, i) => end - validLengths[i]!),
      ends,
    ),
  };
}

function viewOf(corpus: Corpus, starts: Float64Array, ends: Float64Array): CorpusView {
  const filled = starts.map((_, i) => i).filter((i) => ends[i]! > starts[i]!);
  const lengths = filled.map((i) => ends[i]! - starts[i]!);
  return { corpus, starts: filled.map((i) => starts[i]!), lengths, tokens: lengths.reduce((sum, n) => sum + n, 0) };
}
