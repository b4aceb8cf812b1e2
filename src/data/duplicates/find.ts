import { join } from 'node:path';
import { everyTwoSeconds } from '../ticks.ts';
import { groupByBand, linkSimilar } from './bands.ts';
import type { DocumentList } from './documents.ts';
import { HashGroups } from './groups.ts';
import { Links } from './links.ts';
import { RecordFile } from './record-file.ts';
import { isNear, numBands, Signer, signatureBytes, similarity } from './signature.ts';

const none = -1;

/** `exact`: the same tokens; `near`: similar ones. */
export const duplicateKinds = ['exact', 'near'] as const;
/** How a document repeats another one. */
export type DuplicateKind = (typeof duplicateKinds)[number];

/** A document that repeats an earlier one, both by their numbers in a `DocumentList`. */
export interface Duplicate {
  document: number;
  kind: DuplicateKind;
  repeats: number;
  /** The estimated Jaccard similarity of their shingles; 1 of exact ones. */
  similarity: number;
}

/** How documents are compared. */
export interface FindOptions {
  kind: DuplicateKind;
  /** A folder for temporary files: 256 bytes per document, and 8 per pair of near duplicates. */
  folder: string;
  /** Called with the progress every two seconds. */
  onProgress?: ((done: string) => void) | undefined;
}

/**
 * The documents that repeat earlier ones, in ascending order: those with the same tokens as an earlier one, and with `near` also,
 * among the others, those similar to an earlier one that is kept. Both name a document that is kept: a copy of one that is
 * dropped as similar is itself reported as similar to the same one. Similarity is not passed on, so no chain of small changes
 * leads from one document to a quite different one.
 *
 * Memory is 16 bytes per document, 32 MB for pairs, 1 MB for every four million pairs and a few MB for buffers, however long the
 * documents are: signatures are in a file, and bands are processed one after another. The result depends only on the tokens.
 */
export async function* findDuplicates(list: DocumentList, options: FindOptions): AsyncGenerator<Duplicate> {
  const tick = everyTwoSeconds(options.onProgress);
  const groups = new HashGroups(list.count);
  const repeats = new Int32Array(list.count).fill(none);
  using signatures = new RecordFile(join(options.folder, 'signatures'), signatureBytes);
  using links = new Links(join(options.folder, 'links'), list.count);

  const signer = new Signer();
  let read = 0;
  for (const { document, tokens, isLast } of list.pieces()) {
    signer.add(tokens);
    read += tokens.length;
    await tick(() => `${millions(read)} of ${millions(list.tokens)} million tokens`);
    if (!isLast) continue;
    groups.add(document, signer.hash);
    if (options.kind === 'near') signatures.append((record) => signer.sign(record));
    signer.reset();
  }
  for (const group of groups.take()) markCopies(group, list, repeats);

  for (let band = 0; signatures.count > 0 && band < numBands; band++) {
    groupByBand(signatures, band, groups, (document) => repeats[document] !== none);
    for (const group of groups.take()) {
      linkSimilar(group, signatures, links);
      await tick(() => `band ${band + 1} of ${numBands}`);
    }
  }
  yield* decide(repeats, links, signatures);
}

/** Records, for the documents of a group, the earlier one with the same tokens. */
function markCopies(group: Uint32Array, list: DocumentList, repeats: Int32Array): void {
  const firsts: number[] = [];
  for (const document of group) {
    const first = firsts.find((first) => list.areSame(first, document));
    if (first === undefined) firsts.push(document);
    else repeats[document] = first;
  }
}

/** Decides document by document: copies are dropped, and so are documents similar to one that is kept. */
function* decide(repeats: Int32Array, links: Links, signatures: RecordFile): Generator<Duplicate> {
  const pairs = links.sorted();
  let pair = pairs.next();
  const [own, other] = [new Uint8Array(signatureBytes), new Uint8Array(signatureBytes)];
  const similarityOf = (document: number, stays: number) => {
    signatures.read(document, own);
    signatures.read(stays, other);
    return similarity(own, other);
  };
  const staying = (document: number) => (repeats[document] === none ? document : repeats[document]!);
  for (let document = 0; document < repeats.length; document++) {
    const first = repeats[document]!;
    if (first !== none) {
      const stays = staying(first);
      repeats[document] = stays;
      if (stays === first) yield { document, kind: 'exact', repeats: first, similarity: 1 };
      else yield { document, kind: 'near', repeats: stays, similarity: similarityOf(document, stays) };
    }
    for (; !pair.done && pair.value.document === document; pair = pairs.next()) {
      if (repeats[document] !== none) continue;
      const stays = staying(pair.value.earlier);
      const found = similarityOf(document, stays);
      if (!isNear(found)) continue;
      repeats[document] = stays;
      yield { document, kind: 'near', repeats: stays, similarity: found };
    }
  }
}

const millions = (tokens: number) => Math.round(tokens / 1e6).toLocaleString('en');
