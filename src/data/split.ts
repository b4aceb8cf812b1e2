import { blockDocuments, type Corpus } from './corpus.ts';
import { permute } from './sampler.ts';
import { lastAtMost, runningSum } from './sums.ts';

/** A corpus of more documents is divided by blocks of 256 neighbouring ones: where these begin is known without reading their lengths. */
const mostSingly = 2 ** 20;

/** A run of tokens of a corpus: neighbouring documents of one block, the first or last of which may be cut. */
export interface Piece {
  /** The first document. */
  document: number;
  documents: number;
  /** The position in the corpus of the first token. */
  start: number;
  /** The position behind the last one. */
  end: number;
}

/** A part of a corpus. */
export interface CorpusView {
  corpus: Corpus;
  pieces: readonly Piece[];
  documents: number;
  tokens: number;
}

/** A view of everything in a corpus. */
export function wholeCorpus(corpus: Corpus): CorpusView {
  return splitCorpus(corpus, 0).train;
}

/** Whether a corpus has so many documents that it is divided by blocks of them. */
export function isSplitInBlocks({ index }: Corpus): boolean {
  return index.documents > mostSingly;
}

/**
 * Divides a corpus into training and held-out text: documents in a pseudo-random order that never changes go to
 * `valid` until it has `round(validFraction · tokens)` tokens; the document that would be too much is cut, and its
 * tail goes there. Hence one huge document is divided as well as many. Of more than 2²⁰ documents, blocks of 256 take the place of
 * single ones.
 */
export function splitCorpus(corpus: Corpus, validFraction: number): { train: CorpusView; valid: CorpusView } {
  const { documents, tokens } = corpus.index;
  const perUnit = isSplitInBlocks(corpus) ? blockDocuments : 1;
  const unitStarts = perUnit === 1 ? corpus.documentStarts(0, documents) : corpus.blockStarts;
  const units = unitStarts.length - 1;
  const held = new Float64Array(units); // tokens at the end of each unit
  let missing = Math.round(validFraction * tokens);
  for (let i = 0; missing > 0 && i < units; i++) {
    const unit = permute(i, units, { seed: 0, epoch: 0 });
    held[unit] = Math.min(unitStarts[unit + 1]! - unitStarts[unit]!, missing);
    missing -= held[unit]!;
  }
  const [train, valid]: [Piece[], Piece[]] = [[], []];
  for (let unit = 0; unit < units; unit++) {
    const [start, end] = [unitStarts[unit]!, unitStarts[unit + 1]!];
    const first = unit * perUnit;
    const last = Math.min(first + perUnit, documents);
    const cut = end - held[unit]!;
    const starts = cut > start && cut < end ? corpus.documentStarts(first, last - first) : undefined;
    const document = starts ? first + lastAtMost(starts, cut) : cut === end ? last : first; // the one that the cut is in
    const isCut = starts !== undefined && starts[document - first]! < cut;
    add(train, { document: first, documents: document - first + Number(isCut), start, end: cut });
    add(valid, { document, documents: last - document, start: cut, end });
  }
  return { train: viewOf(corpus, train), valid: viewOf(corpus, valid) };
}

/** Appends a run of documents to pieces, to the last of them where it is its neighbour in one block. */
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

/** Where the documents of a piece begin, and where the last one ends; those of the piece that was asked for last are kept. */
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
