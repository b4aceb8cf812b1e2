import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { freeName } from '../checkpoints/index.ts';
import { loadConfig } from '../config/index.ts';
import { listSources } from '../data/index.ts';
import { isRemote } from '../data/remote.ts';
import { counted } from '../errors/index.ts';
import type { Gap } from '../inference/index.ts';
import { familyOf } from '../model/index.ts';
import { percent } from '../report/format.ts';
import { downloadLine } from './download-line.ts';
import { reportError } from './errors.ts';
import { train } from './pretrain.ts';
import { settle } from './settle.ts';
import { signalExitCodes } from './signals.ts';
import { nextText } from './start-next.ts';
import { addresses, packageTexts } from './start-texts.ts';
import { summaryText } from './summary-text.ts';
import { warn } from './terminal.ts';

// What `npm start` runs after the set-up: a small encoder trained with progressive layer dropping, and a look at what it has learned.
// `npm start -- my/texts` trains on those.

const configFile = 'configs/start.yaml';
/** The gaps that are shown, and the seed that they are drawn by. */
const gaps = { count: 5, seed: 1 };

const command = new Command('npm start --')
  .description(
    'train a small encoder with progressive layer dropping in about two minutes, and show what it has learned',
  )
  .argument(
    '[texts...]',
    'your own text: files, folders, globs, hf:datasets/… or https://… (default: the addresses of US presidents to Congress)',
  )
  .addHelpText('after', '\nExample:\n  npm start -- my/texts\n\nFor all other commands: npx taper-lm --help')
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
  const own = paths.map((path) => (isRemote(path) ? path : resolve(process.env.INIT_CWD ?? '.', path)));
  const texts = own.length > 0 ? own : [packageTexts(addresses, 'build/texts', process.env.npm_execpath)];
  const loaded = loadConfig({ file: configFile, overrides: { data: { train: texts } } });
  const { model, train: training } = loaded.config;
  const out = freeName('runs/start');
  using downloads = downloadLine();
  const files = await listSources(texts, { onDownload: downloads.show, onWarning: warn }); // before anything is printed, so that a mistake in a path is the only line
  downloads.end();
  const source = own.length > 0 ? own.join(', ') : `${files.length} addresses of US presidents to Congress`;
  const announcement =
    `Training a ${familyOf(model).title(model)} of ${counted(model.layers, 'block')}, configured in ${configFile}, on ${source}.\n` +
    `This takes about two minutes; the run is saved in ${out}. CTRL-C stops it and keeps the model.`;
  const { result, summary } = await train(loaded, { out, announcement });
  process.stdout.write(`\n${summaryText(result, summary!)}\n`);
  const { found, tokens } = await heldOutOf(out, training.device);
  if (found.length > 0) process.stdout.write(`${gapsText(found)}\n`);
  process.stdout.write(nextText({ out, texts, tokens, gap: found[0] }));
  if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
}

/** Gaps in the held-out text of a run, with the model's guesses, and the number of tokens of its training text. */
async function heldOutOf(run: string, device: string): Promise<{ found: Gap[]; tokens: number }> {
  const { heldOutGaps, openTrained } = await import('../inference/index.ts');
  const { openTexts } = await import('../train/index.ts');
  using trained = openTrained(run, { warn, device });
  const texts = await openTexts(trained.checkpoint.config, trained.tokenizer, { warn: () => {}, note: () => {} });
  try {
    return { found: heldOutGaps(trained, texts.valid.samples, gaps), tokens: texts.tokens };
  } finally {
    texts.close();
  }
}

function gapsText(found: readonly Gap[]): string {
  const lines = found.map(({ before, after, right, guesses }) => {
    const likeliest = guesses.map(({ text, probability }) => `${text} ${percent(probability)}`).join(', ');
    const [best] = guesses;
    return `  ${best?.text === right ? '✓' : ' '} ${before} ____ ${after}\n      ${likeliest}; the removed word: ${right}\n`;
  });
  return `Words removed at random from held-out sentences, with the model's three best guesses:\n\n${lines.join('\n')}`;
}
