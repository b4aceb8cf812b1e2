import { Command } from 'commander';
import { longestSequence } from '../config/phases.ts';
import { counted } from '../errors/index.ts';
import type { FilledText } from '../inference/index.ts';
import { percent } from '../report/format.ts';
import { deviceOption, jsonOption, modelArgument } from './config.ts';
import { countOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface FillOptions {
  top: number;
  device: string;
  json?: boolean;
}

/** `taper-lm fill`: predicts the token at each [MASK]. */
export function fillCommand(): Command {
  return new Command('fill')
    .description('fill each [MASK] of a text')
    .argument(...modelArgument)
    .argument('<text>', 'text with one or more [MASK] tokens')
    .option('--top <n>', 'number of most likely tokens to show', countOf('--top'), 5)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm fill runs/bert-mini "The [MASK] sat."')
    .action(run);
}

async function run(path: string, text: string, options: FillOptions): Promise<void> {
  const { openModel } = await import('../interop/index.ts');
  const { fillMasks, openTrained } = await import('../inference/index.ts');
  const model = openTrained(openModel(path, warn), { warn, device: options.device });
  const filled = await fillMasks(model, text, options.top);
  const { unknownCharacters } = await model.tokenizer.encodeCounted([text]);
  if (unknownCharacters > 0) {
    warn(
      `${counted(unknownCharacters, 'character')} of the text ${unknownCharacters === 1 ? 'is' : 'are'} unknown to this model, whose training text did not have them`,
    );
  }
  const { config, progress } = model.checkpoint;
  const sequenceLength = longestSequence(config, progress.step);
  if (filled.tokens > sequenceLength) {
    warn(
      `the text has ${filled.tokens} tokens, but this model was trained on at most ${sequenceLength}; its predictions may be poor`,
    );
  }
  process.stdout.write(options.json ? `${JSON.stringify(jsonOf(filled))}\n` : filledText(filled));
}

function jsonOf({ masks, text }: FilledText): object {
  return { text, masks };
}

/** The predictions as text. */
function filledText({ masks, text }: FilledText): string {
  const lists = masks.map((predictions, i) => {
    const lines = predictions.map(({ token, probability }) => `  ${percent(probability).padStart(7)}  ${token}\n`);
    return (masks.length > 1 ? `[MASK] ${i + 1}\n` : '') + lines.join('');
  });
  return `${lists.join('')}${text}\n`;
}
