import { once } from 'node:events';
import { Command } from 'commander';
import { commandText } from '../errors/index.ts';
import { deviceOption, modelArgument } from './config.ts';
import { reportError } from './errors.ts';
import { countOf } from './numbers.ts';
import { watchSignals } from './signals.ts';
import { warn } from './terminal.ts';

interface Options {
  host: string;
  port: number;
  device: string;
  threads: number;
}

const defaultPort = 7008;
/** Grace period after the first signal, for answers that are still being sent. */
const graceMs = 30_000;

/** `taper-lm serve`: serves a model over HTTP. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('serve a model over HTTP: embeddings, completions, filled masks, labels; works with OpenAI’s clients')
    .argument(...modelArgument)
    .option(
      '--host <address>',
      'address to listen on; any but 127.0.0.1 requires the printed token as API key',
      '127.0.0.1',
    )
    .option('--port <n>', 'port to listen on; 0 takes a free one', countOf('--port', 0), defaultPort)
    .addOption(deviceOption())
    .option('--threads <n>', 'threads for tensor work; 0 uses all', countOf('--threads', 0), 0)
    .addHelpText('after', '\nExample:\n  npx taper-lm serve runs/search')
    .action(run);
}

async function run(path: string, { host, port, device, threads }: Options): Promise<void> {
  const { openModel } = await import('../interop/index.ts');
  const { openServed, startServer } = await import('../serving/index.ts');
  const { setNumThreads } = await import('../tensor/index.ts');
  setNumThreads(threads);
  const served = openServed(path, openModel(path, warn), { device });
  const { origin, token, requests, close } = await startServer(served, { host, port, report: reportError });
  const lines = [
    `serve: ${served.name} at ${origin} answers ${requests.map(({ path }) => path).join(', ')}`,
    ...(token === undefined ? [] : [`token: ${token}`]),
    ...requests.slice(0, 1).map(({ path, example }) => `try it: ${curlText(`${origin}${path}`, example, token)}`),
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  await stopped();
  // Only now does a second signal end the program.
  process.stderr.write('shutting down: finishing open requests; a second signal stops at once\n');
  await close(graceMs);
  process.exit(); // nobody waits for what is still running
}

/** The command that sends a request. */
function curlText(address: string, body: object, token: string | undefined): string {
  const key = token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`];
  return commandText(['curl', address, ...key, '-H', 'Content-Type: application/json', '-d', JSON.stringify(body)]);
}

/** Waits for the first signal; the next one ends the program. */
async function stopped(): Promise<void> {
  using watched = watchSignals();
  if (!watched.signal.aborted) await once(watched.signal, 'abort');
}
