/**
 * Tasks with labels, GLUE's and your own: tables, fine-tuning and scores.
 *
 * @module taper-lm/tasks
 */
export type { Example } from './example.ts';
export {
  checkTunable,
  type FineTuned,
  type FineTuneReporter,
  fineTune,
  type Scores,
} from './finetune.ts';
export { type GlueName, type GlueTask, glueNames, glueTasks, nameOfTask } from './glue.ts';
export { type MetricName, metrics } from './metrics.ts';
export { confusion, predictionsTsv } from './predictions.ts';
export { type FineTuneSettings, fineTuneDefaults } from './settings.ts';
export {
  columnsOf,
  type ExampleSet,
  type OwnColumns,
  openGlueTask,
  openOwnTask,
  type Task,
} from './task.ts';
