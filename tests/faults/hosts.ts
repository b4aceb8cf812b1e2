import { fileURLToPath } from 'node:url';
import { type Started, start } from '../cli.fixture.ts';
import { obstacleToRoot, sh } from './root.ts';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Two machines: network namespaces with a cable between them. */
export interface Hosts {
  /** Starts one rank on each; `program` instead of taper. */
  start(words: readonly string[], options: { cwd: string; program?: string }): [Started, Started];
  /** Pulls the cable. */
  cut(): void;
  /** Lets that many megabits a second through, each way. */
  limit(megabits: number): void;
}

/** Why there cannot be such machines here. */
export function obstacleToHosts(): string | undefined {
  return obstacleToRoot('ip', 'tc');
}

/** Makes two machines, and takes them away after `body`. */
export async function onTwoHosts<T>(body: (hosts: Hosts) => Promise<T>): Promise<T> {
  const ends = ['a', 'b'].map((end) => ({ space: `taper${process.pid}${end}`, device: `v${end}${process.pid}` }));
  const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
  const inSpace = (host: number) => ['ip', 'netns', 'exec', ends[host]!.space];
  sh(`ip netns add ${a.space}; ip netns add ${b.space}
    ip link add ${a.device} netns ${a.space} type veth peer name ${b.device} netns ${b.space}
    ip -n ${a.space} addr add 10.211.7.1/24 dev ${a.device}; ip -n ${b.space} addr add 10.211.7.2/24 dev ${b.device}`);
  for (const { space, device } of ends) sh(`ip -n ${space} link set lo up; ip -n ${space} link set ${device} up`);
  try {
    return await body({
      start: (words, { cwd, program = main }) => {
        const startRank = (rank: number) => {
          const env = { RANK: `${rank}`, WORLD_SIZE: '2', MASTER_ADDR: '10.211.7.1', MASTER_PORT: '29555' };
          return start(words, { cwd, env, command: [...inSpace(rank), process.execPath, program] });
        };
        return [startRank(0), startRank(1)];
      },
      cut: () => sh(`ip -n ${b.space} link set ${b.device} down`),
      limit: (megabits) => {
        for (const { space, device } of ends)
          sh(
            `ip netns exec ${space} tc qdisc add dev ${device} root tbf rate ${megabits}mbit burst 128kbit latency 400ms`,
          );
      },
    });
  } finally {
    sh(`ip netns del ${a.space}; ip netns del ${b.space}`);
  }
}
