import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoints/index.ts';
import { type StepConfig, textSources, trainPaths } from '../config/index.ts';
import { countedInTurn, phasesOf } from '../config/phases.ts';
import { objectives } from '../data/index.ts';
import { isRemote } from '../data/remote.ts';
import { depthWords } from '../depth/index.ts';
import { counted } from '../errors/index.ts';
import { isHubName, parseHubName } from '../hub/names.ts';
import { familyOf, headKinds } from '../model/index.ts';
import { optimizers } from '../optimizers/index.ts';
import { readMetrics, type Summary, summarise } from '../runs/index.ts';
import type { OutgoingModel } from './model.ts';

/** How a model is written: with its heads or without them, for which library. */
export interface CardOptions {
  encoderOnly: boolean;
  library: 'transformers' | 'transformers.js' | 'gguf';
}

/** The model card, as Markdown: what the model is, what it was trained on and how, the compute, and the results. */
export function modelCard(model: OutgoingModel, options: CardOptions): string {
  const { checkpoint } = model;
  const removed = removedText(model);
  // A model that was imported or fine-tuned has its own.
  if (checkpoint.card !== undefined)
    return retagged(checkpoint.card, options) + (removed === undefined ? '' : `\n${removed}\n`);
  const isTrained = checkpoint.progress.samples > 0;
  const parts = [
    sizesText(model),
    ...(removed === undefined ? [] : [removed]),
    ...(isTrained ? trainingLines(checkpoint) : ['', 'Imported into taper; its training is not documented here.']),
    ...(isTrained && removed === undefined ? resultLines(summaryOf(checkpoint)) : []),
  ];
  const dataSets = isTrained ? hubDataSets(trainPaths(checkpoint.config.data.train)) : [];
  const head = [
    `library_name: ${options.library}`,
    `pipeline_tag: ${pipelineOf(model, options)}`,
    'tags:',
    '- taper',
    ...(dataSets.length > 0 ? ['datasets:', ...dataSets.map((name) => `- ${name}`)] : []),
  ];
  return `---\n${head.join('\n')}\n---\n\n# ${nameOf(checkpoint)}\n\n${parts.join('\n')}\n`;
}

/** The data sets of the Hugging Face Hub that a model was trained on: the Hub links them. */
function hubDataSets(texts: readonly string[]): string[] {
  return [...new Set(texts.flatMap((name) => (isHubName(name) ? parseHubName(name, 'dataset').repo : [])))];
}

/** An existing card, with the metadata that this form of the model changes. */
function retagged(card: string, { encoderOnly, library }: CardOptions): string {
  const named = library === 'transformers' ? card : card.replace(/^library_name: .*$/m, `library_name: ${library}`);
  return encoderOnly ? named.replace(/^pipeline_tag: .*$/m, 'pipeline_tag: feature-extraction') : named;
}

/** The task of Hugging Face's pipelines that a model is for. */
export function pipelineOf({ checkpoint, config }: OutgoingModel, { encoderOnly }: { encoderOnly: boolean }): string {
  if (encoderOnly) return 'feature-extraction';
  if (checkpoint.head) return headKinds[checkpoint.head.kind].pipeline;
  return familyOf(config).isCausal ? 'text-generation' : 'fill-mask';
}

function sizesText({ config }: OutgoingModel): string {
  const sizes = [
    `${counted(config.layers, 'block')} of hidden size ${config.hiddenSize}`,
    counted(config.heads, 'head'),
    counted(config.vocabSize, 'token'),
    `at most ${counted(config.maxPositions, 'position')}`,
  ];
  return `${familyOf(config).title(config)}: ${sizes.join(', ')}.`;
}

function removedText({ checkpoint, config, lossWithAll, loss }: OutgoingModel): string | undefined {
  const { layers } = checkpoint.config.model;
  if (config.layers === layers) return undefined;
  const losses =
    lossWithAll === undefined
      ? ''
      : `: the held-out loss went from ${lossWithAll.toFixed(3)} to ${loss!.toFixed(3)} nats`;
  const removed = layers - config.layers;
  return `${removed} of its ${counted(layers, 'block')} ${removed === 1 ? 'was' : 'were'} removed after training${losses}.`;
}

function trainingLines({ config, progress: { samples, tokens, step } }: Checkpoint): string[] {
  const { data, depth, train } = config;
  // If a setting has several values, those used in training.
  const phases = phasesOf(config, Math.max(1, step));
  const used = (of: (config: StepConfig) => number) => phases.map((phase) => of(phase.config));
  const names = (paths: readonly string[]) => paths.map((path) => (isRemote(path) ? path : basename(path))).join(', ');
  const sources = textSources(data.train);
  const texts =
    sources.length === 1
      ? names(sources[0]!.paths) || 'not stated'
      : sources.map(({ paths, share }) => `${names(paths)} (${Math.round(100 * share)} %)`).join(', ');
  const seen = `${counted(tokens, 'token')} in ${counted(samples, 'sequence')} of ${countedInTurn(
    used(({ data }) => data.sequenceLength),
    'token',
  )}`;
  const masks = objectives[data.objective].masks
    ? `, ${[...new Set(used(({ data }) => data.maskRate))].map((rate) => `${100 * rate} %`).join(', then ')} of the tokens masked`
    : '';
  const steps = `${counted(step, 'step')} of ${countedInTurn(
    used(({ train }) => train.batchSize),
    'sequence',
  )}`;
  return [
    '',
    '## Training',
    '',
    ...(train.from === undefined ? [] : [`- Started from the weights of ${basename(train.from)}.`]),
    `- Texts: ${texts}; ${seen}.`,
    `- Objective: ${data.objective}${masks}.`,
    `- Depth: ${depthWords(depth)}.`,
    `- ${optimizers[train.optimizer].title}, ${steps}, peak learning rate ${train.peakLearningRate}, ${train.schedule}, ${train.precision}, seed ${train.seed}.`,
  ];
}

/** The name of a model: its folder's, or its run's. */
export function nameOf({ path }: Checkpoint): string {
  return basename(/^step-\d+$/.test(basename(path)) ? dirname(dirname(path)) : path);
}

/** The summary of the run's metrics, if the checkpoint is still in its run. */
function summaryOf({ path, progress }: Checkpoint): Summary | undefined {
  const metrics = join(dirname(dirname(path)), 'metrics.jsonl');
  if (!existsSync(metrics)) return undefined;
  return summarise(readMetrics(metrics).filter(({ step }) => step <= progress.step));
}

/** A number in words; metrics contain null if one was not finite. */
function finite(value: number | null, text: (value: number) => string): string {
  return value === null || !Number.isFinite(value) ? 'not finite' : text(value);
}

function resultLines(summary: Summary | undefined): string[] {
  if (!summary?.lastEvaluation) return [];
  const { lastEvaluation, flops, blockFlopsSaved, stepFlopsSaved } = summary;
  const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;
  return [
    `- ${flops.toPrecision(3)} FLOPs: ${percent(blockFlopsSaved)} fewer in the blocks and ${percent(stepFlopsSaved)} fewer overall than a dense run.`,
    '',
    '## Results',
    '',
    `Held-out loss ${finite(lastEvaluation.loss, (loss) => `${loss.toFixed(3)} nats`)}, ` +
      `perplexity ${finite(lastEvaluation.perplexity, (perplexity) => perplexity.toPrecision(4))}.`,
  ];
}
