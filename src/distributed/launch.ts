import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { ConfigError } from '../errors/index.ts';

/** What to launch, and how often to start it again after a failure. */
export interface LaunchOptions {
  /** The number of ranks. */
  processes: number;
  /** How many times all ranks are started again after one fails. */
  maxRestarts: number;
  /** What each rank runs: a program and its arguments. */
  command: readonly [string, ...string[]];
  /** What is added to the command when it is started again. */
  resume: string;
  /** Called with how a rank failed, and for each restart. */
  say(message: string): void;
}

/** How a rank ended. */
interface End {
  rank: number;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What it wrote to standard error; rank 0 writes to the launcher's. */
  said: string;
}

/** After the first failure, the others have this long to notice and end by themselves. */
const settleMs = 10_000;
/** A user's mistake, or a signal to the launcher: starting again would not help. */
const finalCodes = [2, 130, 143];

/** Several running ranks of a program. */
export interface Launched {
  /** Their exit code, once all have ended and are not started again. */
  ended: Promise<number>;
  /** Sends a signal to all of them; they are then not started again. */
  send(signal: NodeJS.Signals): void;
}

/**
 * Runs a program as several ranks on this machine, under torchrun's variables. If one fails, the others are stopped, and all
 * start again, up to `maxRestarts` times. No rank outlives this process: its end closes a channel that each rank listens to.
 *
 * @throws ConfigError unless `processes` is an integer ≥ 1.
 */
export function launch(options: LaunchOptions): Launched {
  const { processes } = options;
  if (!(Number.isInteger(processes) && processes >= 1))
    throw new ConfigError(`--processes: ${processes} is not an integer ≥ 1`);
  const ranks = new Set<ChildProcess>();
  let signalled = false;
  const untilDone = async () => {
    for (let restarts = 0; ; restarts++) {
      const failed = await runRanks(options, restarts, ranks);
      if (failed === undefined) return 0;
      const code = failed.code ?? 128 + constants.signals[failed.signal!]; // as in shells
      if (signalled || finalCodes.includes(code)) return code;
      if (restarts >= options.maxRestarts) {
        if (failed.signal !== null) options.say(describe(failed)); // it could not say so itself
        return code;
      }
      options.say(`${describe(failed)}; starting all ranks again (${restarts + 1} of ${options.maxRestarts})`);
    }
  };
  const send = (signal: NodeJS.Signals) => {
    signalled = true;
    for (const rank of ranks) rank.kill(signal);
  };
  return { ended: untilDone(), send };
}

/** Starts all ranks and waits until they end; returns the most informative failure, if there is one. */
async function runRanks(
  { processes, command, resume, say }: LaunchOptions,
  restarts: number,
  ranks: Set<ChildProcess>,
): Promise<End | undefined> {
  const [program, ...given] = command;
  const args = restarts > 0 && !given.includes(resume) ? [...given, resume] : given;
  const port = await freePort();
  let killing: NodeJS.Timeout | undefined;
  const ends = await Promise.all(
    Array.from({ length: processes }, async (_, rank) => {
      const env = {
        ...process.env,
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        WORLD_SIZE: String(processes),
        LOCAL_WORLD_SIZE: String(processes),
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
        TORCHELASTIC_RESTART_COUNT: String(restarts),
      };
      // A group of its own: CTRL-C in the terminal reaches the ranks only through the launcher, once.
      const stdio =
        rank === 0
          ? (['ignore', 'inherit', 'inherit', 'ipc'] as const)
          : (['ignore', 'ignore', 'pipe', 'ipc'] as const);
      const child = spawn(program, args, { env, stdio: [...stdio], detached: true });
      ranks.add(child);
      const end = await endOf(child, rank);
      ranks.delete(child);
      if (end.code !== 0) {
        killing ??= setTimeout(() => {
          for (const other of ranks) other.kill('SIGKILL');
        }, settleMs);
      }
      return end;
    }),
  );
  clearTimeout(killing);
  const [first] = ends;
  const failed = ends.filter(({ code }) => code !== 0);
  const told = new Set(
    failed.filter(({ code, said }) => said !== '' && code !== first!.code).map(({ said }) => said.trim()),
  );
  for (const text of told) say(text);
  // Those that only report that another one is gone come last.
  return failed.sort((a, b) => weight(b) - weight(a))[0];
}

function weight({ code, signal }: End): number {
  if (code !== null && finalCodes.includes(code)) return 3;
  return signal !== null ? 2 : code === 75 ? 0 : 1;
}

function describe({ rank, code, signal }: End): string {
  return signal === null ? `rank ${rank} ended with exit code ${code}` : `rank ${rank} was killed by ${signal}`;
}

function endOf(child: ChildProcess, rank: number): Promise<End> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-4000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ rank, code, signal, said }));
  });
}

/** A port that is currently free. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0));
    });
  });
}
