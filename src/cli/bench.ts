import { Command, Option } from 'commander';
import { granularities } from '../depth/index.ts';
import { namesOf } from '../keys/index.ts';
import { presets } from '../model/index.ts';
import { optimizers } from '../optimizers/index.ts';
import type { BenchOptions } from './bench-options.ts';
import { deviceOption } from './config.ts';
import { countOf, numberOf } from './numbers.ts';

/** Adds the flags for the size of a model and of its steps. */
function sized(command: Command): Command {
  command
    .addOption(
      new Option('--dtype <precision>', 'precision of the matrix products')
        .choices(['fp32', 'bf16', 'fp16'])
        .default('fp32'),
    )
    .addOption(deviceOption())
    .option('--tf32', 'let the GPU use TF32 for fp32 matrix products', false)
    .option('--json', 'print one JSON object', false);
  const numbers: [string, string, number][] = [
    ['layers', 'Transformer blocks', 12],
    ['hidden', 'hidden size', 256],
    ['heads', 'attention heads', 4],
    ['ffn', 'feed-forward size; 0 means 4 × hidden', 0],
    ['vocab', 'vocabulary size', 30522],
    ['seq', 'sequence length in tokens', 128],
    ['batch', 'sequences per step', 32],
    ['dropout', 'dropout rate', 0.1],
    ['steps', 'measured steps', 10],
    ['warmup', 'unmeasured steps before them', 3],
    ['threads', 'threads; 0 uses all cores', 0],
  ];
  for (const [name, meaning, value] of numbers) {
    const option = `--${name}`;
    const parse = name === 'dropout' ? numberOf(option, { from: 0, to: 1 }) : countOf(option, name === 'steps' ? 1 : 0);
    command.option(`${option} <n>`, meaning, parse, value);
  }
  return command;
}

function stepCommand(): Command {
  return sized(new Command('step'))
    .description('time one optimizer step of pre-training on random tokens')
    .addOption(
      new Option('--preset <name>', 'a published model, instead of a BERT with the sizes given').choices(
        namesOf(presets),
      ),
    )
    .option(
      '--theta <n>',
      'keep rate of the deepest block; 1 drops nothing',
      numberOf('--theta', { above: 0, to: 1 }),
      1,
    )
    .addOption(
      new Option('--granularity <granularity>', 'what one gate covers')
        .choices(namesOf(granularities))
        .default('batch'),
    )
    .addOption(new Option('--optimizer <name>', 'the optimizer').choices(namesOf(optimizers)).default('adamw'))
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
    .description('time each operation of a step: its speed and its share of the step')
    .addHelpText('after', '\nExample:\n  npx taper-lm bench ops --hidden 768 --heads 12 --batch 16 --dtype bf16')
    .action(async (options: BenchOptions & { json: boolean }) => {
      const { benchOps, opsText } = await import('./bench-ops.ts');
      const result = benchOps({ ...options, theta: 1, granularity: 'batch', optimizer: 'adamw', postln: false });
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : opsText(result));
    });
}

/** `taper-lm bench`: measures how fast this machine trains. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('measure how fast this machine trains')
    .addCommand(stepCommand())
    .addCommand(opsCommand());
}
