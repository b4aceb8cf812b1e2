export type { NamedCorpus } from './documents.ts';
export { type DuplicateKind, duplicateKinds } from './find.ts';
export { type Deduplication, type DuplicateOptions, deduplications, openDuplicates } from './open.ts';
export type { DocumentPlace, DuplicateCounts, DuplicateLine, Duplicates } from './report.ts';
