import { blockDocuments, type Corpus } from '../corpus.ts';

const pieceTokens = 2 ** 16;

/** A tokenised text and its name: the configuration key that names it. */
export interface NamedCorpus {
  name: string;
  corpus: Corpus;
}

/** The documents of several corpora, numbered from 0 through all of them. */
export class DocumentList {
  readonly corpora: readonly NamedCorpus[];
  readonly count: number;
  readonly tokens: number;
  readonly #piece = new Int32Array(pieceTokens);
  readonly #other = new Int32Array(pieceTokens);

  constructor(corpora: readonly NamedCorpus[]) {
    this.corpora = corpora;
    this.count = corpora.reduce((sum, { corpus }) => sum + corpus.index.documents, 0);
    this.tokens = corpora.reduce((sum, { corpus }) => sum + corpus.index.tokens, 0);
  }

  /** The text that a document is in, its number there, and the place of its tokens. */
  placeOf(document: number): NamedCorpus & { number: number; start: number; length: number } {
    let number = document;
    for (const named of this.corpora) {
      const { index } = named.corpus;
      if (number < index.documents) {
        const [start, end] = named.corpus.documentStarts(number, 1);
        return { ...named, number, start: start!, length: end! - start! };
      }
      number -= index.documents;
    }
    throw new RangeError(`DocumentList: there is no document ${document} of ${this.count}`);
  }

  /** All tokens, in chunks that end with the document or earlier, so that a document may have any length. */
  *pieces(): Generator<{ document: number; tokens: Int32Array; isLast: boolean }> {
    let document = 0;
    for (const { corpus } of this.corpora) {
      const { documents } = corpus.index;
      for (let first = 0; first < documents; first += blockDocuments) {
        const starts = corpus.documentStarts(first, Math.min(blockDocuments, documents - first));
        const end = starts.at(-1)!;
        let number = 0;
        for (let at = starts[0]!; at < end; at += pieceTokens) {
          const piece = this.#piece.subarray(0, Math.min(pieceTokens, end - at));
          corpus.read(at, piece);
          for (let from = 0; from < piece.length; ) {
            const isLast = starts[number + 1]! <= at + piece.length;
            const to = isLast ? starts[number + 1]! - at : piece.length;
            yield { document, tokens: piece.subarray(from, to), isLast };
            from = to;
            if (!isLast) continue;
            document++;
            number++;
          }
        }
      }
    }
  }

  /** Whether two documents have the same tokens. */
  areSame(a: number, b: number): boolean {
    const [first, second] = [this.placeOf(a), this.placeOf(b)];
    if (first.length !== second.length) return false;
    for (let done = 0; done < first.length; done += pieceTokens) {
      const size = Math.min(pieceTokens, first.length - done);
      const [piece, other] = [this.#piece.subarray(0, size), this.#other.subarray(0, size)];
      first.corpus.read(first.start + done, piece);
      second.corpus.read(second.start + done, other);
      if (piece.some((token, i) => token !== other[i])) return false;
    }
    return true;
  }

  /** The first tokens of a document, at most `count`. */
  beginningOf(document: number, count: number): Int32Array {
    const { corpus, start, length } = this.placeOf(document);
    const tokens = new Int32Array(Math.min(count, length));
    corpus.read(start, tokens);
    return tokens;
  }
}
