import { parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { freeName } from '../checkpoints/index.ts';
import { loadConfig } from '../config/index.ts';
import { listSources } from '../data/index.ts';
import { isRemote } from '../data/remote.ts';
import { counted } from '../errors/index.ts';
import { familyOf } from '../model/index.ts';
import { setOption } from './config.ts';
import { downloadLine } from './download-line.ts';
import { reportError } from './errors.ts';
import { lookAt, tryCommand } from './look.ts';
import { train } from './pretrain.ts';
import { flopsLeft } from './run-time.ts';
import { settle } from './settle.ts';
import { signalExitCodes } from './signals.ts';
import { firstRuns, nextText } from './start-next.ts';
import { addresses, packageTexts } from './start-texts.ts';
import { summaryText } from './summary-text.ts';
import { warn } from './terminal.ts';

// What `npm start` runs after the set-up: a small model, and a look at what it has learned. `npm start -- my/texts` trains on those.

const command = new Command('npm start --')
  .description('train a small model in a few minutes, and show what it has learned')
  .argument(
    '[texts...]',
    'your own text: files, folders, globs, hf:datasets/… or https://… (default: the addresses of US presidents to Congress)',
  )
  .option('--generate', 'train a decoder, which continues a prompt, instead of an encoder, which fills gaps')
  .addOption(setOption())
  .addHelpText(
    'after',
    '\nExamples:\n  npm start -- my/texts\n  npm start -- my/texts --generate\n\nFor all other commands: npx taper-lm --help',
  )
  .action(start);
settle(command, 'npm start --');

process.chdir(fileURLToPath(new URL('../../..', import.meta.url)));
try {
  await command.parseAsync();
} catch (error) {
  process.exitCode = reportError(error);
}

async function start(
  paths: readonly string[],
  { generate = false, set: sets = [] }: { generate?: boolean; set?: string[] },
): Promise<void> {
  const { file, minutes, next, isTunable } = firstRuns[generate ? 'decoder' : 'encoder'];
  // npm runs this in the project's folder, wherever it was called.
  const own = paths.map((path) => (isRemote(path) ? path : resolve(process.env.INIT_CWD ?? '.', path)));
  const texts = own.length > 0 ? own : [packageTexts(addresses, 'build/texts', process.env.npm_execpath)];
  const loaded = loadConfig({ file, sets, overrides: { data: { train: texts } } });
  const { model, train: training } = loaded.config;
  const name = own[0] === undefined ? 'start' : parse(own[0]).name.replaceAll(/[^\w.-]+/g, '-');
  const wanted = `runs/${name}${generate ? '-llama' : ''}`;
  const out = freeName(wanted);
  using downloads = downloadLine();
  const { textField } = loaded.config.data;
  const files = await listSources(texts, { textField, onDownload: downloads.show, onWarning: warn }); // before anything is printed, so that a mistake in a path is the only line
  downloads.end();
  const source = own.length > 0 ? own.join(', ') : `${files.length} addresses of US presidents to Congress`;
  const announcement =
    `Training a ${familyOf(model).title(model)} of ${counted(model.layers, 'block')}, configured in ${file}, on ${source}.\n` +
    `This takes about ${minutes} minutes on two free cores; the run is saved in ${out}${out === wanted ? '' : `, since ${wanted} already exists`}. CTRL-C stops it and keeps the model.`;
  const { result, summary } = await train(loaded, { out, announcement });
  const look = await lookAt(out, training.device);
  // Of a whole run: in one that was stopped early, fewer blocks ran.
  const flopsPerStep = flopsLeft(loaded.config)(0) / training.steps;
  const secondsPerStep = (summary!.stepSeconds / Math.max(1, summary!.flops)) * flopsPerStep;
  const command = tryCommand(out, loaded.config);
  const after = {
    texts,
    command,
    file,
    next,
    isTunable,
    sets: sets.filter((set) => set.startsWith('data.')),
    secondsPerStep,
    run: out,
    longer: freeName(`${out}-longer`),
    bigger: freeName(`${out}-larger`),
    isStopped: result.stoppedBy !== undefined,
  };
  process.stdout.write(`\n${summaryText(result, summary!, look)}`);
  if (look?.shown) process.stdout.write(`\n${look.shown}`);
  process.stdout.write(`\n${nextText({ ...after, ...look })}`);
  if (result.stoppedBy !== undefined) process.exitCode = signalExitCodes[result.stoppedBy] ?? 1;
}
