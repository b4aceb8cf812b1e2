import { Command } from 'commander';
import { deviceOption, jsonOption } from './config.ts';
import { countOf, numberOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface Options {
  tokens: number;
  temperature: number;
  topK: number;
  seed: number;
  device: string;
  json?: boolean;
}

/** `taper-lm generate`: how a model goes on with a text. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('let a gpt2 model go on with a text')
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .argument('[text]', 'the beginning', '')
    .option('--tokens <n>', 'how many tokens to write at most', countOf('--tokens'), 100)
    .option(
      '--temperature <x>',
      'below 1 likely tokens become likelier; 0 takes the likeliest',
      numberOf('--temperature', { from: 0 }),
      0.8,
    )
    .option('--top-k <n>', 'draw from so many of the likeliest tokens', countOf('--top-k'), 50)
    .option('--seed <n>', 'another seed writes another text', countOf('--seed', 0), 1)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm generate runs/gpt "The ship"')
    .action(run);
}

async function run(path: string, text: string, { device, json, ...options }: Options): Promise<void> {
  const { generate, openTrained } = await import('../inference/index.ts');
  const written = await generate(openTrained(path, { warn, device }), text, options);
  process.stdout.write(json ? `${JSON.stringify({ prompt: text, text: text + written })}\n` : `${text}${written}\n`);
}
