import { statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { ConfigError, DataError } from '../errors/index.ts';
import { countOf } from './numbers.ts';

interface DashboardCommandOptions {
  host: string;
  port: number;
  untilInputEnds?: boolean;
}

/** An open page hears of the end of a run that long. */
const lastLookMs = 3000;
const defaultPort = 7007;

/** `taper-lm dashboard`: a page that shows runs, live while they train. */
export function dashboardCommand(): Command {
  return new Command('dashboard')
    .description('serve a page that shows runs: losses, which blocks ran, what was saved; live while they train')
    .argument('[runs-dir]', 'folder of runs, or one run', 'runs')
    .option(
      '--host <address>',
      'listen there; on any but 127.0.0.1 the page asks for the token that is printed',
      '127.0.0.1',
    )
    .option('--port <n>', 'port of the page; 0 takes a free one', countOf('--port', 0), defaultPort)
    .addOption(new Option('--until-input-ends', 'end when standard input does').hideHelp())
    .addHelpText('after', '\nExample:\n  npx taper-lm dashboard runs')
    .action(run);
}

async function run(
  folder: string,
  { host, port, untilInputEnds = false }: DashboardCommandOptions,
  command: Command,
): Promise<void> {
  const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory();
  if (!isFolder && !untilInputEnds) {
    throw new DataError(`${folder}: no such folder; give the folder that holds your runs`);
  }
  const { startDashboard } = await import('../dashboard/index.ts');
  const mayBeOther = command.getOptionValueSource('port') === 'default';
  const { url } = await startDashboard({ folder, host, port }).catch((error: unknown) => {
    if (!mayBeOther || !(error instanceof ConfigError)) throw error;
    return startDashboard({ folder, host, port: 0 });
  });
  process.stderr.write(`dashboard: ${url}\n`);
  if (!untilInputEnds) return;
  process.on('SIGINT', () => {}); // meant for the training, which ends this when it is done
  process.stdin.resume().on('end', () => setTimeout(() => process.exit(), lastLookMs));
}
