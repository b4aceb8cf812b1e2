import { Command } from 'commander';
import { defaultTopK } from '../inference/sampling.ts';
import { deviceOption, jsonOption, modelArgument } from './config.ts';
import { countOf, numberOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface Options {
  tokens: number;
  temperature: number;
  topK: number;
  topP: number;
  stop?: string[];
  seed: number;
  device: string;
  json?: boolean;
}

/** `taper-lm generate`: continues a prompt. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('continue a prompt with a llama or gpt2 model')
    .argument(...modelArgument)
    .argument('[prompt]', 'text to continue', '')
    .option('--tokens <n>', 'maximum number of new tokens', countOf('--tokens'), 100)
    .option(
      '--temperature <x>',
      'sampling temperature: below 1 favours likely tokens; 0 always takes the likeliest',
      numberOf('--temperature', { from: 0 }),
      0.8,
    )
    .option('--top-k <n>', 'sample from the n likeliest tokens only', countOf('--top-k'), defaultTopK)
    .option(
      '--top-p <x>',
      'sample only from the likeliest tokens whose probabilities add up to x',
      numberOf('--top-p', { from: 0, to: 1 }),
      1,
    )
    .option('--stop <text...>', 'stop before any of these texts')
    .option('--seed <n>', 'sampling seed; another seed gives another text', countOf('--seed', 0), 1)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm generate runs/gpt "The ship"')
    .action(run);
}

async function run(path: string, prompt: string, { device, json, ...options }: Options): Promise<void> {
  const { openModel } = await import('../interop/index.ts');
  const { generate, openTrained } = await import('../inference/index.ts');
  const pieces = generate(openTrained(openModel(path, warn), { warn, device }), prompt, options);
  let text = '';
  let next = await pieces.next(); // a mistake comes before anything is written
  if (!json) process.stdout.write(prompt);
  for (; !next.done; next = await pieces.next()) {
    text += next.value;
    if (!json) process.stdout.write(next.value);
  }
  process.stdout.write(json ? `${JSON.stringify({ prompt, text: prompt + text })}\n` : '\n');
}
