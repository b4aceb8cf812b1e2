import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { freePort } from '../src/distributed/launch.ts';
import { linesOf, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';
import { childrenOf } from './faults/world.ts';

// The files for clusters in docs/clusters, on this machine: with a srun of the test's own, and with the test as the operator that
// starts containers again.

const project = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-clusters-'));
const at = (path: string) => join(folder, path);
after(() => rmSync(folder, { recursive: true }));

const sets = ['train.steps=60', 'train.precision=fp32', 'train.saveEvery=10', 'train.evalEvery=0', 'train.threads=1'];

before(async () => {
  writeTiny(folder);
  const { code, stderr } = await taper(['pretrain', 'tiny.yaml', '--out', 'unbroken', '--set', ...sets], {
    cwd: folder,
  });
  assert.equal(code, 0, stderr);
});

/** The losses are those of the uninterrupted run of one process, up to the rounding of sums over ranks. */
function assertTrained(run: string): void {
  const lossesOf = (name: string) =>
    linesOf(at(name)).flatMap(({ type, step, loss }) => (type === 'step' ? [[step, Number(loss)] as const] : []));
  const [found, expected] = [lossesOf(run), lossesOf('unbroken')];
  assert.equal(found.length, 60);
  for (const [i, [step, loss]] of expected.entries()) {
    assert.equal(found[i]![0], step);
    assert.ok(Math.abs(found[i]![1] - loss) < 1e-5, `step ${step}: ${found[i]![1]}, one process has ${loss}`);
  }
}

/** Starts two tasks with the variables that srun sets, writes down their numbers, and ends with the highest of their exit codes. */
const srun = `#!/bin/bash
[ "$1" = --kill-on-bad-exit=0 ] && shift
export SLURM_STEP_NUM_TASKS=2 SLURM_STEP_TASKS_PER_NODE='1(x2)' SLURM_STEP_NODELIST=127.0.0.1 SLURM_LOCALID=0
tasks=()
for rank in 0 1; do
  SLURM_PROCID=$rank SLURM_NODEID=$rank "$@" &
  tasks+=($!)
done
echo "\${tasks[@]}" >tasks
worst=0
for task in "\${tasks[@]}"; do
  wait "$task"
  code=$?
  if ((code > worst)); then worst=$code; fi
done
exit $worst
`;

test('slurm.sh requeues and resumes the job after a lost rank and after the signal before the time limit, but not after a mistake', async () => {
  mkdirSync(at('bin'));
  const exits = (code: number) => `#!/bin/sh\nexit ${code}\n`;
  const scontrol = '#!/bin/sh\necho "$@" >>requeued\n';
  const programs = { srun, scontrol, lost: exits(75), mistaken: exits(2) };
  for (const [name, text] of Object.entries(programs)) writeFileSync(at(`bin/${name}`), text, { mode: 0o755 });
  const main = join(project, 'dist/src/cli/main.js');
  const job = async (words: string[], program = main) => {
    const env = {
      PATH: [at('bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
      TAPER: program,
      SLURM_JOB_ID: '7',
      SLURM_CPUS_PER_TASK: '1',
      MASTER_PORT: `${await freePort()}`,
    };
    return start(words, { cwd: folder, env, command: ['bash', join(project, 'docs/clusters/slurm.sh')] });
  };
  const words = ['run', 'tiny.yaml', '--set', ...sets];
  const requeued = () => (existsSync(at('requeued')) ? readFileSync(at('requeued'), 'utf8').trim().split('\n') : []);
  const tasks = () => readFileSync(at('tasks'), 'utf8').trim().split(' ').map(Number);

  const lost = await job(words);
  await untilSteps(at('run'), 15, lost.child);
  process.kill(tasks()[1]!, 'SIGKILL');
  const first = await lost.ended;
  assert.equal(first.code, 137, first.stderr);
  assert.match(first.stderr, /rank 1 is gone or frozen.*; start all ranks again with --resume/);
  assert.deepEqual(requeued(), ['requeue 7']);

  const limited = await job(words);
  await untilSteps(at('run'), 22, limited.child);
  for (const task of tasks()) process.kill(task, 'SIGTERM');
  const second = await limited.ended;
  assert.equal(second.code, 143, second.stderr);
  assert.equal(requeued().length, 2);

  const third = await (await job(words)).ended;
  assert.equal(third.code, 0, third.stderr);
  assertTrained('run');

  const stuck = await (await job(words, at('bin/lost'))).ended;
  assert.equal(stuck.code, 75, 'no checkpoint is newer than the one before');
  const mistaken = await (await job(words, at('bin/mistaken'))).ended;
  assert.equal(mistaken.code, 2, mistaken.stderr);
  assert.equal(requeued().length, 2);
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(3);
}

interface Replica {
  replicas: number;
  restartPolicy: string;
  template: { spec: { containers: { name: string; command: string[]; args: string[] }[] } };
}

test('the containers of pytorchjob.yaml restart after a lost rank and after SIGTERM, each by itself, and resume; after a mistake they do not', {
  timeout: 240_000,
}, async () => {
  const text = readFileSync(join(project, 'docs/clusters/pytorchjob.yaml'), 'utf8');
  const [, job] = parseAllDocuments(text).map(
    (document) => document.toJS() as { spec: { pytorchReplicaSpecs: unknown } },
  );
  const { Master, Worker } = job!.spec.pytorchReplicaSpecs as Record<string, Replica>;
  assert.deepEqual([Master!.restartPolicy, Worker!.restartPolicy], ['ExitCode', 'ExitCode']);
  assert.deepEqual(Worker!.template, Master!.template);
  const [{ name, command, args }] = Master!.template.spec.containers as [Replica['template']['spec']['containers'][0]];
  assert.equal(name, 'pytorch');
  assert.ok(args.includes('--resume'), 'as a container is started again');

  const port = await freePort();
  const env = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };
  const running: ChildProcess[] = [];
  const codes: number[][] = [];
  /** Runs the container of a rank, again and at once where the operator would, and notes its exit codes. */
  const pod = async (rank: number, words: readonly string[]) => {
    const own: number[] = [];
    codes[rank] = own;
    do {
      const ranks = { RANK: `${rank}`, WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: `${port}` };
      const child = spawn(command[0]!, [...command.slice(1), ...words], {
        cwd: project,
        env: { ...env, ...ranks },
        stdio: 'ignore',
      });
      running[rank] = child;
      own.push(await new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? -1))));
    } while (own.at(-1)! >= 128);
  };
  const pods = (words: readonly string[]) => Promise.all([pod(0, words), pod(1, words)]);
  const data = [`data.train=["${at('train.txt')}"]`, `data.valid=["${at('valid.txt')}"]`, `data.cache=${at('cache')}`];
  const ended = pods([at('tiny.yaml'), '--out', at('pods'), '--resume', '--set', ...sets, ...data]);
  await until(() => linesOf(at('pods')).length > 12);
  running[0]!.kill('SIGTERM');
  await until(() => codes.every(({ length }) => length > 0));
  const saved = linesOf(at('pods')).length;
  await until(() => linesOf(at('pods')).length > saved + 5);
  const [taperOfWorker] = await childrenOf(running[1]!.pid!, 1);
  process.kill(taperOfWorker!, 'SIGKILL');
  await ended;
  const [master, worker] = codes;
  assert.deepEqual(master, [143, 203, 0]);
  const others = worker!.filter((code) => code !== 203); // 203 also while rank 0 still waited for the lost one
  assert.deepEqual(others, [143, 137, 0]);
  assertTrained('pods');

  await pods(['nowhere.yaml', '--out', at('mistake'), '--resume']);
  assert.deepEqual(codes, [[2], [2]]);
});

test('a rank that comes back while rank 0 still serves those of before ends at once, with 75', {
  timeout: 120_000,
}, async (t) => {
  const port = await freePort();
  const rank = (RANK: string) => {
    const env = { RANK, WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: `${port}` };
    const words = ['pretrain', 'tiny.yaml', '--out', 'early', '--quiet', '--set', ...sets, 'train.steps=100000'];
    const started = start(words, { cwd: folder, env });
    t.after(() => started.child.kill('SIGKILL'));
    return started;
  };
  const [first, second] = [rank('0'), rank('1')];
  await untilSteps(at('early'), 2, first.child);
  const { code, stderr } = await rank('1').ended;
  first.child.kill('SIGTERM');
  assert.equal(code, 75, stderr);
  assert.match(stderr, /^taper: rank 0 belongs to an earlier start, which had another rank 1; start all ranks again/);
  assert.deepEqual([(await first.ended).code, (await second.ended).code], [143, 143]);
});
