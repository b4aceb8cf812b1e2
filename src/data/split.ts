import { blockDocuments, type Corpus } from './corpus.ts';
import { permute } from './sampler.ts';
import { lastAtMost, runningSum } from './sums.ts';

/** A corpus of more documents is split by blocks of 256 neighbouring ones: their starts are known without reading lengths. */
const mostSingly = 2 ** 20;

/** A run of tokens of a corpus: neighbouring documents of one block; the first or last may be cut. */
export interface Piece {
  /** The first document. */
  document: number;
  documents: number;
  /** The position in the corpus of the first token. */
  start: number;
  /** The position after the last one. */
  end: number;
}

/** A part of a corpus. */
export interface CorpusView {
  corpus: Corpus;
  pieces: readonly Piece[];
  documents: number;
  tokens: number;
}

/** A view of everything in a corpus except the documents of a list. */
export function wholeCorpus(corpus: Corpus, dropped?: Uint32Array): CorpusView {
  return splitCorpus(corpus, 0, dropped).train;
}

/** Whether a corpus has more than 2²⁰ documents and is therefore split by blocks of them. */
export function isSplitInBlocks({ index }: Corpus): boolean {
  return index.documents > mostSingly;
}

/**
 * Splits a corpus into training and held-out text: documents in a fixed pseudo-random order go to `valid` until it has
 * `round(validFraction · tokens)` tokens; the document that would exceed this is cut, and its tail goes there. So a single
 * huge document can be split too. With more than 2²⁰ documents, blocks of 256 are used instead of single documents. The
 * documents of a list, in ascending order, are left out.
 */
export function splitCorpus(
  corpus: Corpus,
  validFraction: number,
  dropped: Uint32Array = new Uint32Array(),
): { train: CorpusView; valid: CorpusView } {
  const tokens: number[] = [];
  for (const runs of unitsOf(corpus, dropped)) tokens.push(runs.reduce((sum, { start, end }) => sum + end - start, 0));
  let missing = Math.round(validFraction * tokens.reduce((sum, count) => sum + count, 0));
  const held = new Float64Array(tokens.length); // tokens at the end of each unit
  for (let i = 0; missing > 0 && i < tokens.length; i++) {
    const unit = permute(i, tokens.length, { seed: 0, epoch: 0 });
    held[unit] = Math.min(tokens[unit]!, missing);
    missing -= held[unit]!;
  }
  const [train, valid]: [Piece[], Piece[]] = [[], []];
  let unit = 0;
  for (const runs of unitsOf(corpus, dropped)) {
    let before = tokens[unit]! - held[unit]!;
    unit++;
    for (const run of runs) {
      const cut = Math.min(run.start + before, run.end);
      before -= cut - run.start;
      const [first, second] = divided(corpus, run, cut);
      add(train, first);
      add(valid, second);
    }
  }
  return { train: viewOf(corpus, train), valid: viewOf(corpus, valid) };
}

/** The units that a corpus is split by, documents or blocks of them: for each, the runs of kept documents. */
function* unitsOf(corpus: Corpus, dropped: Uint32Array): Generator<Piece[]> {
  const { documents } = corpus.index;
  const perUnit = isSplitInBlocks(corpus) ? blockDocuments : 1;
  const starts = perUnit === 1 ? corpus.documentStarts(0, documents) : corpus.blockStarts;
  let next = 0;
  for (let unit = 0; unit < starts.length - 1; unit++) {
    const first = unit * perUnit;
    const last = Math.min(first + perUnit, documents);
    const from = next;
    while (next < dropped.length && dropped[next]! < last) next++;
    if (next === from)
      yield [{ document: first, documents: last - first, start: starts[unit]!, end: starts[unit + 1]! }];
    else if (next - from === last - first) yield [];
    else yield runsBetween(corpus, first, last, dropped.subarray(from, next));
  }
}

/** The runs of documents from `first` to before `last` between the dropped ones. */
function runsBetween(corpus: Corpus, first: number, last: number, dropped: Uint32Array): Piece[] {
  const starts = corpus.documentStarts(first, last - first);
  return [...dropped, last].flatMap((end, i) => {
    const document = i === 0 ? first : dropped[i - 1]! + 1;
    const run = { document, documents: end - document, start: starts[document - first]!, end: starts[end - first]! };
    return run.documents > 0 ? [run] : [];
  });
}

/** A run of documents before and after a position; the document that contains the position is in both. */
function divided(corpus: Corpus, run: Piece, cut: number): [Piece, Piece] {
  const { document: first, documents, start, end } = run;
  const last = first + documents;
  const starts = cut > start && cut < end ? corpus.documentStarts(first, documents) : undefined;
  const document = starts ? first + lastAtMost(starts, cut) : cut === end ? last : first;
  const isCut = starts !== undefined && starts[document - first]! < cut;
  return [
    { document: first, documents: document - first + Number(isCut), start, end: cut },
    { document, documents: last - document, start: cut, end },
  ];
}

/** Appends a run of documents to pieces; it extends the last piece if that is its neighbour in the same block. */
function add(pieces: Piece[], run: Piece): void {
  if (run.start === run.end) return;
  const last = pieces.at(-1);
  if (last?.end !== run.start || run.document % blockDocuments === 0) pieces.push(run);
  else {
    last.documents += run.documents;
    last.end = run.end;
  }
}

function viewOf(corpus: Corpus, pieces: readonly Piece[]): CorpusView {
  const documents = runningSum(pieces, (piece) => piece.documents).at(-1)!;
  return { corpus, pieces, documents, tokens: runningSum(pieces, ({ start, end }) => end - start).at(-1)! };
}

/** Where the documents of a piece begin, and where the last one ends; those of the last requested piece are cached. */
export function boundsIn({ corpus, pieces }: CorpusView): (piece: number) => Float64Array {
  let known = -1;
  let bounds: Float64Array;
  return (piece) => {
    if (piece === known) return bounds;
    const { document, documents, start, end } = pieces[piece]!;
    bounds = corpus.documentStarts(document, documents);
    bounds[0] = start;
    bounds[documents] = end;
    known = piece;
    return bounds;
  };
}
