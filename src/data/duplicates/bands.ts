import type { HashGroups } from './groups.ts';
import type { Links } from './links.ts';
import type { RecordFile } from './record-file.ts';
import { bandBytes, isNear, mix, signatureBytes, similarity } from './signature.ts';

/** The most documents that the others of a group are compared with, so that a text shared by very many does not make the time quadratic. */
const maxLeaders = 64;

/** Groups the documents by one band of their signatures, except those that are left out. */
export function groupByBand(
  signatures: RecordFile,
  band: number,
  groups: HashGroups,
  isLeftOut: (document: number) => boolean,
): void {
  let document = 0;
  for (const block of signatures.blocks()) {
    for (let at = bandBytes * band; at < block.length; at += signatureBytes, document++) {
      if (isLeftOut(document)) continue;
      groups.add(document, mix(mix(block.readInt32LE(at)) ^ block.readInt32LE(at + 4)) >>> 0);
    }
  }
}

/**
 * Links the documents of a group, which are in ascending order: each to the first before it that is similar and is itself not
 * linked to another one of the group. They are compared with at most 64 of those: in a group with more dissimilar documents, a
 * pair may be missed.
 */
export function linkSimilar(group: Uint32Array, signatures: RecordFile, links: Links): void {
  const leaders: { document: number; signature: Uint8Array }[] = [];
  const signature = new Uint8Array(signatureBytes);
  for (const document of group) {
    signatures.read(document, signature);
    const leader = leaders.find((leader) => isNear(similarity(signature, leader.signature)));
    if (leader) links.add(document, leader.document);
    else if (leaders.length < maxLeaders) leaders.push({ document, signature: signature.slice() });
  }
}
