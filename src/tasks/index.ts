/**
 * What a pre-trained encoder is fine-tuned for: labels and values of texts (GLUE's among them), tags of words, and embeddings.
 *
 * @module taper-lm/tasks
 */
export type { TextPrediction } from './answers.ts';
export type { Baseline } from './baseline.ts';
export { columnsOf, textsIn } from './cells.ts';
export { balancedWeights, type LabelLearning, type LabelOptions } from './cross-entropy.ts';
export { type Embedder, type EmbedOptions, openEmbedder } from './embed.ts';
export { checkTunable, type DevScores, type FineTuned, type FineTuneReporter, fineTune } from './finetune.ts';
export { openGlueTask } from './glue/open.ts';
export { type GlueName, type GlueTask, glueNames, glueTasks, nameOfTask } from './glue/tasks.ts';
export type { EncodedTexts, TextExample } from './labels/example.ts';
export { plainSettings, type TextSettings, type TextTask, textKind } from './labels/kind.ts';
export {
  type EncodedMultiLabel,
  type MultiLabelExample,
  type MultiLabelTask,
  multiLabelKind,
  type Threshold,
} from './labels/multi.ts';
export { type OwnColumns, openOwnTask } from './labels/open.ts';
export { type MultiLabelColumns, openMultiLabelTask } from './labels/open-multi.ts';
export { type MetricName, metrics } from './metrics.ts';
export type { EncodedPair, PairExample } from './pairs/example.ts';
export { type PairSettings, type PairTask, pairKind } from './pairs/kind.ts';
export { openPairTask, type PairColumns } from './pairs/open.ts';
export { openPredictor, type PredictOptions, type TextPredictor } from './predict.ts';
export { defaultLearningRate, type FineTuneSettings, fineTuneDefaults } from './settings.ts';
export { type Entity, entitiesOf, entityScores } from './tags/entities.ts';
export type { EncodedSentence, Sentence } from './tags/example.ts';
export { type TaggedText, type TagTask, tagKind } from './tags/kind.ts';
export { openTagTask } from './tags/open.ts';
export type { TagColumns } from './tags/read.ts';
export type { BaselineScores, Details, Encoded, ExampleSet, Kind, Scores, Sequence, SetScores, Task } from './task.ts';
