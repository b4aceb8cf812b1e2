import { ConfigError } from '../errors/index.ts';

/** The rank of a process, and how it connects to the others. */
export interface RankEnvironment {
  /** 0 … size − 1 */
  rank: number;
  /** The number of ranks. */
  size: number;
  /** 0 for the first rank on its machine. */
  localRank: number;
  /** The number of ranks on this machine. */
  localSize: number;
  /** The host of the store: the name or address of rank 0's machine. */
  masterAddress: string;
  masterPort: number;
  /** Whether the launcher, rather than rank 0, serves the store. */
  launcherServes: boolean;
  /** How often the launcher has started the ranks before. */
  restarts: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** torchrun's port; also the default for ranks of Slurm and Open MPI. */
const defaultPort = '29500';

/**
 * The rank that a launcher gave this process, or undefined if it runs alone: from torchrun's variables (`RANK`, `WORLD_SIZE`,
 * `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`; Kubernetes' PyTorchJob and `taper-lm launch` set them as well),
 * otherwise from those of Slurm's `srun`, otherwise from those of Open MPI's `mpirun`.
 *
 * @throws ConfigError if they are incomplete or inconsistent.
 */
export function rankEnvironment(env: Environment = process.env): RankEnvironment | undefined {
  const found = env.RANK !== undefined || env.WORLD_SIZE !== undefined ? env : (ofSlurm(env) ?? ofOpenMpi(env));
  if (found === undefined) return undefined;
  const size = numberIn(found, 'WORLD_SIZE', 1, 1_000_000);
  const rank = numberIn(found, 'RANK', 0, size - 1);
  if (size === 1) return undefined;
  const localSize = numberIn(found, 'LOCAL_WORLD_SIZE', 1, size, '1');
  return {
    rank,
    size,
    localRank: numberIn(found, 'LOCAL_RANK', 0, localSize - 1, '0'),
    localSize,
    masterAddress: valueIn(found, 'MASTER_ADDR')
      .trim()
      .replace(/^\[(.*)\]$/, '$1'), // an IPv6 address may stand in brackets
    masterPort: numberIn(found, 'MASTER_PORT', 1, 65_535, defaultPort),
    launcherServes: env.TORCHELASTIC_USE_AGENT_STORE === 'True',
    restarts: Number(env.TORCHELASTIC_RESTART_COUNT ?? 0),
  };
}

/** What `srun` sets for each task, under torchrun's names. A batch script's own shell is not a task. */
function ofSlurm(env: Environment): Environment | undefined {
  if (env.SLURM_STEP_NUM_TASKS === undefined) return undefined;
  const onNode = env.SLURM_STEP_TASKS_PER_NODE ?? '';
  return {
    RANK: env.SLURM_PROCID,
    WORLD_SIZE: env.SLURM_STEP_NUM_TASKS,
    LOCAL_RANK: env.SLURM_LOCALID,
    LOCAL_WORLD_SIZE: String(tasksOfNode(onNode, Number(env.SLURM_NODEID ?? 0))),
    MASTER_ADDR: env.MASTER_ADDR ?? firstHost(env.SLURM_STEP_NODELIST ?? ''),
    MASTER_PORT: env.MASTER_PORT ?? portOf(env.SLURM_JOB_ID),
  };
}

/** The number for a node in Slurm's `2(x3),1`: two tasks on each of three nodes, one on the fourth. */
function tasksOfNode(counts: string, node: number): number {
  const all = [...counts.matchAll(/(\d+)(?:\(x(\d+)\))?/g)].flatMap(([, count, times]) =>
    new Array<number>(Number(times ?? 1)).fill(Number(count)),
  );
  return all[node] ?? 1;
}

/** The first host of Slurm's `gpu[07-09,12],cpu3`. */
function firstHost(list: string): string | undefined {
  const [, name, numbers] = /^([^,[]+)(?:\[([^\]]*)\])?/.exec(list) ?? [];
  return name === undefined ? undefined : `${name}${/^\d+/.exec(numbers ?? '') ?? ''}`;
}

/** Two jobs on one machine use different ports. */
function portOf(job: string | undefined): string {
  return job === undefined ? defaultPort : String(20_000 + (Number(job) % 20_000));
}

/** What `mpirun` sets for each process, under torchrun's names. */
function ofOpenMpi(env: Environment): Environment | undefined {
  const { OMPI_COMM_WORLD_RANK: RANK, OMPI_COMM_WORLD_SIZE: WORLD_SIZE } = env;
  if (RANK === undefined || WORLD_SIZE === undefined) return undefined;
  const LOCAL_WORLD_SIZE = env.OMPI_COMM_WORLD_LOCAL_SIZE;
  const here = LOCAL_WORLD_SIZE === WORLD_SIZE ? '127.0.0.1' : undefined;
  return {
    RANK,
    WORLD_SIZE,
    LOCAL_RANK: env.OMPI_COMM_WORLD_LOCAL_RANK,
    LOCAL_WORLD_SIZE,
    MASTER_ADDR: env.MASTER_ADDR ?? here,
    MASTER_PORT: env.MASTER_PORT,
  };
}

function valueIn(env: Environment, name: string): string {
  const value = env[name];
  if (value === undefined || value.trim() === '') {
    throw new ConfigError(
      `${name}: is not set, but this process has a rank; set it as torchrun does, or start with npx taper-lm launch (docs/distributed.md)`,
    );
  }
  return value;
}

function numberIn(env: Environment, name: string, least: number, most: number, fallback?: string): number {
  const text = env[name] ?? fallback ?? valueIn(env, name);
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new ConfigError(
    `${name}: ${text} is not a whole number from ${least} to ${most}; fix it where the ranks are started`,
  );
}
