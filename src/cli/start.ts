import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { freeName } from '../checkpoints/index.ts';
import { loadConfig } from '../config/index.ts';
import { listSources, readTexts, type SourceFile } from '../data/index.ts';
import { counted } from '../errors/index.ts';
import { reportError } from './errors.ts';
import { filledText } from './fill.ts';
import { summaryText, train } from './pretrain.ts';
import { settle } from './settle.ts';
import { signalExitCodes } from './signals.ts';
import { addresses, maskedSentence, packageTexts } from './start-texts.ts';

// What `npm start` runs after the set-up: a small BERT trained with progressive layer dropping, and a look at it.
// `npm start -- my/texts` trains on those.

const configFile = 'configs/start.yaml';
const addressesSentence = 'The President of [MASK] United States speaks to the Congress.';

const command = new Command('npm start --')
  .description('train a small BERT with progressive layer dropping, in about two minutes, and see what it has learned')
  .argument(
    '[texts...]',
    'text of your own: files, folders or globs (default: the addresses of US presidents to Congress)',
  )
  .addHelpText('after', '\nExample:\n  npm start -- my/texts\n\nEverything else: npx taper-lm --help')
  .action(start);
settle(command, 'npm start --');

process.chdir(fileURLToPath(new URL('../../..', import.meta.url)));
try {
  await command.parseAsync();
} catch (error) {
  process.exitCode = reportError(error);
}

async function start(paths: readonly string[]): Promise<void> {
  // npm runs this in the project's folder, wherever it was called.
  const own = paths.map((path) => resolve(process.env.INIT_CWD ?? '.', path));
  const texts = own.length > 0 ? own : [packageTexts(addresses, 'build/texts', process.env.npm_execpath)];
  const loaded = loadConfig({ file: configFile, overrides: { data: { train: texts } } });
  const { model, data, train: training } = loaded.config;
  const out = freeName('runs/start');
  const files = await listSources(texts); // before anything is said, so that a mistake in a path comes alone
  const source = own.length > 0 ? own.join(', ') : `${files.length} addresses of US presidents to Congress`;
  const announcement =
    `Training a BERT of ${counted(model.layers, 'block')}, as ${configFile} says, on ${source}.\n` +
    `That takes about two minutes and goes to ${out}. CTRL-C stops it and keeps the model.`;
  const { result, summary } = await train(loaded, { out, announcement });
  process.stdout.write(`\n${summaryText(result, summary!)}\n`);
  const { fillMasks, openTrained } = await import('../inference/index.ts');
  const sentence = own.length > 0 ? await sentenceOf(files, data.textField) : addressesSentence;
  if (sentence !== undefined) {
    const model = openTrained(out, { warn: console.warn, device: training.device });
    process.stdout.write(`${sentence}\n${filledText(await fillMasks(model, sentence, 5))}\n`);
  }
  process.stdout.write(`${counted(result.step, 'step')} teach the model word frequencies and little else.

What next:
  npx taper-lm dashboard runs
  npx taper-lm fill ${out} "${sentence ?? 'The [MASK] sat.'}"
  npx taper-lm plan ${configFile}
  npx taper-lm pretrain configs/bert-mini.yaml --data my/texts
`);
  if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
}

/** A sentence of the texts with a word masked; undefined where none is found. */
async function sentenceOf(files: readonly SourceFile[], textField: string): Promise<string | undefined> {
  for await (const text of readTexts(files, { textField })) {
    const sentence = maskedSentence(text);
    if (sentence !== undefined) return sentence;
  }
  return undefined;
}
