import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { launch } from '../distributed/launch.ts';
import { ConfigError } from '../errors/index.ts';
import { countOf } from './numbers.ts';

const mainPath = fileURLToPath(new URL('main.js', import.meta.url));

/** `taper-lm launch`: trains with several ranks on this machine. */
export function launchCommand(): Command {
  return new Command('launch')
    .description('train with several processes (ranks) on this machine, each on its share of every batch')
    .option('--processes <n>', 'number of processes', countOf('--processes'))
    .option(
      '--max-restarts <n>',
      'restart all processes from the newest checkpoint when one fails, at most n times',
      countOf('--max-restarts', 0),
      0,
    )
    .argument('<command...>', '`-- pretrain` with its arguments')
    .passThroughOptions() // what comes after `pretrain` belongs to it, also without `--`
    .addHelpText(
      'after',
      `
On several machines, use any launcher that sets torchrun's variables: docs/distributed.md.

Examples:
  npx taper-lm launch --processes 2 -- pretrain configs/encoder.yaml --data my/texts
  npx taper-lm launch --processes 4 --max-restarts 3 -- pretrain configs/encoder.yaml --data my/texts --out runs/long`,
    )
    .action(run);
}

async function run(command: string[], { processes, maxRestarts }: { processes?: number; maxRestarts: number }) {
  if (processes === undefined) {
    throw new ConfigError(
      '--processes: missing; give it before the command, as in npx taper-lm launch --processes 2 -- pretrain …',
    );
  }
  if (command[0] !== 'pretrain') {
    throw new ConfigError(
      `launch: ${command[0]} does not run in several processes; write npx taper-lm launch --processes ${processes} -- pretrain …`,
    );
  }
  const ranks = launch({
    processes,
    maxRestarts,
    command: [process.execPath, ...process.execArgv, mainPath, ...command],
    resume: '--resume',
    say: (message) => process.stderr.write(`${message}\n`),
  });
  process.on('SIGINT', ranks.send).on('SIGTERM', ranks.send);
  process.exitCode = await ranks.ended;
}
