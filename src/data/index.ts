/**
 * From text to masked micro-batches: sources, tokenizers, corpora on disk, samples and masks.
 *
 * @module taper-lm/data
 */

export type { DownloadProgress } from '../hub/index.ts';
export { heldOutBatches, type MicroBatch, makeMicroBatch, type TokenBatch } from './batch.ts';
export { Corpus, type CorpusIndex, corpusFormat, openCorpus, type StoredFile, unknownShare } from './corpus.ts';
export {
  type Deduplication,
  type DocumentPlace,
  type DuplicateCounts,
  type DuplicateKind,
  type DuplicateLine,
  type DuplicateOptions,
  type Duplicates,
  deduplications,
  duplicateKinds,
  type NamedCorpus,
  openDuplicates,
} from './duplicates/index.ts';
export { charactersOf } from './encoding.ts';
export { type ListOptions, listSources, sharedSources } from './listing.ts';
export { type Mask, type Masked, type MaskOptions, maskTokens } from './masking.ts';
export { joined, mixed } from './mixture.ts';
export {
  makeMask,
  type NamedObjective,
  type Objective,
  objectives,
  type SampleOptions,
  samplesOf,
} from './objectives.ts';
export { isReadInBlocks, type OrderKey, permute, sampleAt } from './sampler.ts';
export { type Packing, packings, type Sample, type Samples } from './samples.ts';
export {
  type Document,
  type Documents,
  type PrepareOptions,
  type PrepareProgress,
  prepareCorpus,
  prepareDocuments,
  prepareFiles,
  type TokeniseOptions,
} from './shards.ts';
export { type DocumentPart, type ReadOptions, readParts, readTexts, type SourceFile } from './sources.ts';
export { type CorpusView, isSplitInBlocks, type Piece, splitCorpus, wholeCorpus } from './split.ts';
export { firstTokenOf, specialIdsOf, TextTokenizer } from './tokenizer.ts';
export { bertTokens, byteLevelJson, endOfText, endTokens, maskingNames, wordPieceJson } from './tokenizer-json.ts';
export {
  type TrainingProgress,
  tokenizerKinds,
  trainByteLevel,
  trainingVersion,
  trainWordPiece,
} from './tokenizer-training.ts';
export { VerifiedFile } from './verified-file.ts';
