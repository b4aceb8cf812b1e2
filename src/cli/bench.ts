import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/index.ts';
import type { Granularity } from '../depth/index.ts';
import { deviceOption } from './config.ts';

/** The flags of `taper-lm bench step`. */
export interface BenchOptions {
  layers: number;
  hidden: number;
  heads: number;
  ffn: number;
  vocab: number;
  seq: number;
  batch: number;
  dropout: number;
  dtype: Config['train']['precision'];
  tf32: boolean;
  device: string;
  theta: number;
  granularity: Granularity;
  postln: boolean;
  steps: number;
  warmup: number;
  threads: number;
}

/** What `taper-lm bench step` prints, with the keys of the PyTorch program that it is laid beside. */
export interface BenchResult {
  peer: string;
  params_m: number;
  dtype: string;
  device: string;
  layers: number;
  hidden: number;
  batch: number;
  seq: number;
  vocab: number;
  theta: number;
  mean_layers_run: number;
  step_s_median: number;
  step_s_mean: number;
  step_s_min: number;
  /** Until all work of a step was given out: what a GPU that is faster than this waits for. */
  host_s_median: number;
  tokens_per_s: number;
  threads: number;
  /** FLOPs of the steps' products and updates, by time. */
  gflops_per_s: number;
  /** The fastest that one large matrix product goes on this machine, in the same precision. */
  peak_gflops_per_s: number;
  /** Model FLOPs utilisation: the one over the other. */
  mfu: number;
  /** The most resident memory. */
  peak_memory_mb: number;
  /** The time of every measured step, in order, and the blocks that it ran. */
  step_s: number[];
  layers_run: number[];
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('it must be a whole number from 0 up.');
  return value;
}

function atLeastOne(text: string): number {
  const value = count(text);
  if (value === 0) throw new InvalidArgumentError('it must be 1 or more.');
  return value;
}

function rate(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('it must be a number from 0 to 1.');
  return value;
}

/** The size of a model and of its steps, as flags. */
function sized(command: Command): Command {
  command
    .addOption(
      new Option('--dtype <precision>', 'precision of the matrix products')
        .choices(['fp32', 'bf16', 'fp16'])
        .default('fp32'),
    )
    .addOption(deviceOption())
    .option('--tf32', 'let a GPU round the factors of fp32 products to TF32', false)
    .option('--json', 'print one JSON object', false);
  const numbers: [string, string, number][] = [
    ['layers', 'Transformer blocks', 12],
    ['hidden', 'model width', 256],
    ['heads', 'attention heads', 4],
    ['ffn', 'feed-forward width; 0 is 4 × hidden', 0],
    ['vocab', 'vocabulary', 30522],
    ['seq', 'tokens in a sequence', 128],
    ['batch', 'sequences in a step', 32],
    ['dropout', 'dropout rate', 0.1],
    ['steps', 'measured steps', 10],
    ['warmup', 'steps before them', 3],
    ['threads', 'threads; 0 takes every processor', 0],
  ];
  for (const [name, meaning, value] of numbers) {
    const parse = name === 'dropout' ? rate : name === 'steps' ? atLeastOne : count;
    command.option(`--${name} <n>`, meaning, parse, value);
  }
  return command;
}

function stepCommand(): Command {
  return sized(new Command('step'))
    .description('time one optimizer step of BERT pre-training on random tokens')
    .option('--theta <n>', 'keep rate of the deepest block; 1 drops nothing', rate, 1)
    .addOption(
      new Option('--granularity <granularity>', 'what one gate decides for')
        .choices(['batch', 'sequence'])
        .default('batch'),
    )
    .option('--postln', 'PostLN instead of PreLN', false)
    .addHelpText(
      'after',
      '\nExample:\n  npx taper-lm bench step --layers 12 --hidden 256 --heads 4 --batch 32 --dtype bf16 --theta 0.5',
    )
    .action(async (options: BenchOptions & { json: boolean }) => {
      const { benchStep } = await import('./bench-step.ts'); // not before, since it loads libtorch
      const { step_s, layers_run, ...result } = benchStep(options);
      if (options.json) console.log(JSON.stringify({ ...result, step_s, layers_run }));
      else for (const [key, value] of Object.entries(result)) console.log(`${key.padEnd(18)} ${value}`);
    });
}

function opsCommand(): Command {
  return sized(new Command('ops'))
    .description(
      'time the operations of a step one by one: how close each is to the machine, and its share of the step',
    )
    .addHelpText('after', '\nExample:\n  npx taper-lm bench ops --hidden 768 --heads 12 --batch 16 --dtype bf16')
    .action(async (options: BenchOptions & { json: boolean }) => {
      const { benchOps, opsText } = await import('./bench-ops.ts');
      const result = benchOps({ ...options, theta: 1, granularity: 'batch', postln: false });
      console.log(options.json ? JSON.stringify(result) : opsText(result));
    });
}

/** `taper-lm bench`: how fast this machine trains. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('measure how fast this machine trains')
    .addCommand(stepCommand())
    .addCommand(opsCommand());
}
