import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../errors/index.ts';
import { rankEnvironment } from './environment.ts';
import { checkResolves, partOf } from './group.ts';

const torchrun = {
  RANK: '5',
  WORLD_SIZE: '8',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '4',
  MASTER_ADDR: 'node-a',
  MASTER_PORT: '1234',
};

test("a process without a launcher's variables, or the only one of its launcher, is alone", () => {
  assert.equal(rankEnvironment({}), undefined);
  assert.equal(rankEnvironment({ ...torchrun, RANK: '0', WORLD_SIZE: '1' }), undefined);
  assert.equal(rankEnvironment({ SLURM_PROCID: '0', SLURM_NTASKS: '4' }), undefined); // a batch script, not a task of srun
});

test("torchrun's variables say the rank, those of its machine, and where rank 0 is", () => {
  assert.deepEqual(rankEnvironment(torchrun), {
    rank: 5,
    size: 8,
    localRank: 1,
    localSize: 4,
    masterAddress: 'node-a',
    masterPort: 1234,
    launcherServes: false,
    restarts: 0,
  });
  const again = { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' };
  assert.deepEqual(rankEnvironment(again)?.launcherServes, true);
  assert.deepEqual(rankEnvironment(again)?.restarts, 2);
  // Kubernetes' PyTorchJob: a pod a rank.
  const { LOCAL_RANK: _, LOCAL_WORLD_SIZE: __, ...pod } = torchrun;
  const { localRank, localSize } = rankEnvironment(pod)!;
  assert.deepEqual([localRank, localSize], [0, 1]);
});

test('a variable that holds only spaces counts as not set', () => {
  assert.throws(() => rankEnvironment({ ...torchrun, MASTER_ADDR: ' ' }), /^ConfigError: MASTER_ADDR: is not set/);
});

test('an IPv6 address may be in brackets', () => {
  const addressOf = (MASTER_ADDR: string) => rankEnvironment({ ...torchrun, MASTER_ADDR })?.masterAddress;
  assert.deepEqual(['[::1]', ' fe80::2%eth0 ', 'node-a'].map(addressOf), ['::1', 'fe80::2%eth0', 'node-a']);
});

test('an unknown name of rank 0 is refused immediately, and looked up again if name servers do not answer', async () => {
  await checkResolves('localhost');
  await checkResolves('127.0.0.1');
  await checkResolves('::1');
  const failing = (codes: string[]) => async () => {
    const code = codes.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
  };
  const started = performance.now();
  await assert.rejects(checkResolves('first:29500', failing(['ENOTFOUND'])), (error: Error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /^MASTER_ADDR: first:29500: no host with this name was found .*without a port$/);
    return true;
  });
  assert.ok(performance.now() - started < 400);
  await checkResolves('first', failing(['EAI_AGAIN'])); // the second answer counts
});

test("a task of Slurm's srun has its rank, the first node of the step as the meeting place, and a port of its job", () => {
  const task = {
    SLURM_PROCID: '6',
    SLURM_STEP_NUM_TASKS: '7',
    SLURM_LOCALID: '0',
    SLURM_NODEID: '3',
    SLURM_STEP_TASKS_PER_NODE: '2(x3),1',
    SLURM_STEP_NODELIST: 'gpu[007-009,012],cpu3',
    SLURM_JOB_ID: '41234',
  };
  const expected = { rank: 6, size: 7, localRank: 0, localSize: 1, masterAddress: 'gpu007', masterPort: 21_234 };
  assert.deepEqual(rankEnvironment(task), { ...expected, launcherServes: false, restarts: 0 });
  assert.equal(rankEnvironment({ ...task, SLURM_NODEID: '1' })!.localSize, 2);
  assert.equal(rankEnvironment({ ...task, SLURM_STEP_NODELIST: 'big,small' })!.masterAddress, 'big');
  assert.equal(rankEnvironment({ ...task, MASTER_ADDR: 'x', MASTER_PORT: '7' })!.masterPort, 7);
});

test("a process of Open MPI's mpirun has its rank; on several machines it must be given the address of rank 0", () => {
  const process = {
    OMPI_COMM_WORLD_RANK: '1',
    OMPI_COMM_WORLD_SIZE: '2',
    OMPI_COMM_WORLD_LOCAL_RANK: '1',
    OMPI_COMM_WORLD_LOCAL_SIZE: '2',
  };
  const { rank, size, localRank, masterAddress, masterPort } = rankEnvironment(process)!;
  assert.deepEqual([rank, size, localRank, masterAddress, masterPort], [1, 2, 1, '127.0.0.1', 29_500]);
  const apart = { ...process, OMPI_COMM_WORLD_LOCAL_RANK: '0', OMPI_COMM_WORLD_LOCAL_SIZE: '1' };
  assert.throws(() => rankEnvironment(apart), /^ConfigError: MASTER_ADDR: is not set, but this process has a rank/);
});

test('variables that are missing or do not fit each other are named', () => {
  for (const [change, message] of [
    [{ RANK: undefined }, /^ConfigError: RANK: is not set/],
    [{ WORLD_SIZE: undefined }, /^ConfigError: WORLD_SIZE: is not set/],
    [{ RANK: '8' }, /^ConfigError: RANK: 8 is not a whole number from 0 to 7/],
    [{ WORLD_SIZE: 'two' }, /^ConfigError: WORLD_SIZE: two is not a whole number/],
    [{ MASTER_PORT: '99999' }, /^ConfigError: MASTER_PORT: 99999/],
    [{ LOCAL_RANK: '4' }, /^ConfigError: LOCAL_RANK: 4 is not a whole number from 0 to 3/],
  ] as const) {
    assert.throws(
      () => rankEnvironment({ ...torchrun, ...change }),
      (error: Error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(`${error.name}: ${error.message}`, message);
        return true;
      },
    );
  }
});

test('the parts of the ranks lie one behind the other, cover everything, and differ by one at most', () => {
  for (const [count, size] of [
    [8, 3],
    [7, 7],
    [64, 5],
    [2, 2],
  ] as const) {
    const parts = Array.from({ length: size }, (_, rank) => partOf(count, { rank, size }));
    assert.deepEqual(
      parts.map(({ first }) => first),
      parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part.count, 0)),
    );
    assert.equal(
      parts.reduce((sum, part) => sum + part.count, 0),
      count,
    );
    const counts = parts.map((part) => part.count);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
  }
});
