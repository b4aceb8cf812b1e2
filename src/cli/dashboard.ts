import { statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { ConfigError, DataError } from '../errors/index.ts';
import { countOf } from './numbers.ts';

interface DashboardCommandOptions {
  host: string;
  port: number;
  untilInputEnds?: boolean;
}

/** How long the server stays up after a run, so that an open page still receives its end. */
const lastLookMs = 3000;
const defaultPort = 7007;

/** `taper-lm dashboard`: serves a page that shows runs, live during training. */
export function dashboardCommand(): Command {
  return new Command('dashboard')
    .description('serve a page that shows runs, live during training: losses, which blocks ran, FLOPs saved')
    .argument('[runs-dir]', 'folder of runs, or one run', 'runs')
    .option('--host <address>', 'address to listen on; any but 127.0.0.1 requires the printed token', '127.0.0.1')
    .option('--port <n>', 'port to listen on; 0 takes a free one', countOf('--port', 0), defaultPort)
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
