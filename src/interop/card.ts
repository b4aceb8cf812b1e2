import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Checkpoint, readMetrics, type Summary, summarise } from '../train/index.ts';
import type { OutgoingModel } from './model.ts';

/** The model card of a pre-trained model, as Markdown: what it is, what it learnt from, what that took and what came of it. */
export function modelCard({ checkpoint, config }: OutgoingModel): string {
  if (checkpoint.card !== undefined) return checkpoint.card;
  const { data, depth, train } = checkpoint.config;
  const { samples, tokens, step } = checkpoint.progress;
  const task = config.kind === 'gpt2' ? 'text-generation' : 'fill-mask';
  const family = config.kind === 'gpt2' ? 'GPT-2' : config.norm === 'pre' ? 'BERT with PreLN blocks' : 'BERT';
  const parts = checkpoint.config.model.layers - config.layers;
  const lines = [
    `${family}: ${config.layers} blocks of width ${config.hiddenSize}, ${config.heads} heads, ${config.vocabSize} pieces, at most ${config.maxPositions} positions.`,
    ...(parts > 0 ? [`${parts} of its ${checkpoint.config.model.layers} blocks were taken out after training.`] : []),
    '',
    '## Training',
    '',
    `- Texts: ${data.train.map((path) => basename(path)).join(', ') || 'not stated'}; ${tokens.toLocaleString('en')} tokens in ${samples.toLocaleString('en')} sequences of ${data.sequenceLength}.`,
    `- Objective: ${data.objective}${data.objective === 'clm' ? '' : `, ${100 * data.maskRate} % of the tokens masked`}.`,
    `- Depth: ${depthText(depth)}`,
    `- ${train.optimizer === 'lamb' ? 'LAMB' : 'AdamW'}, ${step} steps of ${train.batchSize} sequences, peak learning rate ${train.peakLearningRate}, ${train.schedule}, ${train.precision}, seed ${train.seed}.`,
    ...resultLines(summaryOf(checkpoint)),
  ];
  return `---\nlibrary_name: transformers\npipeline_tag: ${task}\ntags:\n- taper\n---\n\n# ${nameOf(checkpoint)}\n\n${lines.join('\n')}\n`;
}

function nameOf({ path }: Checkpoint): string {
  return basename(/^step-\d+$/.test(basename(path)) ? dirname(dirname(path)) : path);
}

function depthText({ method, thetaBar, gamma, profile, granularity }: Checkpoint['config']['depth']): string {
  if (method === 'dense') return 'every block in every step.';
  const what = method === 'pld' ? 'progressive layer dropping (arXiv 2010.13369)' : `the method \`${method}\` of taper`;
  const settings = [`θ̄ = ${thetaBar}`, ...(method === 'pld' ? [`γ = ${gamma}`, `profile ${profile}`] : [])];
  return `${what}, ${settings.join(', ')}, a gate for each ${granularity}.`;
}

/** What the run's metrics say, where the checkpoint stands in its run. */
function summaryOf({ path, progress }: Checkpoint): Summary | undefined {
  const metrics = join(dirname(dirname(path)), 'metrics.jsonl');
  if (!existsSync(metrics)) return undefined;
  return summarise(readMetrics(metrics).filter(({ step }) => step <= progress.step));
}

function resultLines(summary: Summary | undefined): string[] {
  if (!summary?.lastEvaluation) return [];
  const { lastEvaluation, flops, blockFlopsSaved, stepFlopsSaved } = summary;
  const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;
  return [
    `- ${flops.toPrecision(3)} FLOPs: ${percent(blockFlopsSaved)} less in the blocks, ${percent(stepFlopsSaved)} less in all, than with every block in every step.`,
    '',
    '## Results',
    '',
    `Held-out loss ${lastEvaluation.loss.toFixed(3)} nats, perplexity ${lastEvaluation.perplexity.toPrecision(4)}.`,
  ];
}
