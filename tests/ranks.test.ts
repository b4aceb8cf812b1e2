import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Line, linesOf, type Started, sentences, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';

// Several processes on this machine against one.

const folder = mkdtempSync(join(tmpdir(), 'taper-ranks-'));
before(() => writeTiny(folder));
after(() => rmSync(folder, { recursive: true }));

const steps = 50;
const common = [`train.steps=${steps}`, 'train.precision=fp32', 'train.evalEvery=10', 'train.saveEvery=10'];
const words = (out: string, sets: readonly string[]) => [
  'pretrain',
  'tiny.yaml',
  '--out',
  out,
  '--set',
  ...common,
  ...sets,
];

async function done(...command: string[]): Promise<string> {
  const { code, stderr } = await taper(command, { cwd: folder });
  assert.equal(code, 0, stderr);
  return stderr;
}

const ranks = (processes: number, ...command: string[]) => ['launch', '--processes', `${processes}`, '--', ...command];

/** The losses of steps and evaluations agree, and the rest of what was done is the same. */
function assertSameTraining(found: Line[], expected: Line[]): void {
  assert.equal(found.length, expected.length);
  for (const [i, line] of expected.entries()) {
    for (const key of ['type', 'step', 'samples', 'tokens', 'depth', 'flops'])
      assert.deepEqual(found[i]![key], line[key]);
    for (const key of ['loss', 'mlmLoss', 'nspLoss', 'gradientNorm']) {
      const [is, was] = [Number(found[i]![key] ?? 0), Number(line[key] ?? 0)];
      assert.ok(Math.abs(is - was) < 1e-5, `step ${line.step}: ${key} ${is}, one process has ${was}`);
    }
  }
}

const withDropout = ['model.dropout=0.1', 'model.attentionDropout=0.1'];
const cases: Record<string, { processes: number; sets: string[] }> = {
  'PLD with dropout, two micro-batches': { processes: 2, sets: withDropout },
  'a gate for each sequence, three ranks of unequal parts, a divided optimizer': {
    processes: 3,
    sets: [...withDropout, 'depth.granularity=sequence', 'train.shardOptimizer=true', 'train.microBatchSize=8'],
  },
  'LAMB with a divided optimizer, clipped': {
    processes: 2,
    sets: ['train.optimizer=lamb', 'train.shardOptimizer=true', 'train.clipNorm=0.1'],
  },
  GPT: { processes: 2, sets: ['model.kind=gpt2', 'model.vocabSize=300', 'data.objective=clm'] },
};

for (const [name, { processes, sets }] of Object.entries(cases)) {
  test(`${processes} ranks train as one process does, to 1e-5 for ${steps} steps: ${name}`, async () => {
    const outs = [1, processes].map((count) => `${name.replace(/\W+/g, '-')}-${count}`) as [string, string];
    await done(...words(outs[0], sets));
    await done(...ranks(processes, ...words(outs[1], sets)));
    assertSameTraining(linesOf(join(folder, outs[1])), linesOf(join(folder, outs[0])));
  });
}

test('a checkpoint of two ranks goes on with three, and then with one, as if it had always been one', async () => {
  const sets = ['train.shardOptimizer=true'];
  await done(...words('unbroken', sets));
  const stopped = start(ranks(2, ...words('elastic', sets)), { cwd: folder });
  await untilSteps(join(folder, 'elastic'), 12, stopped.child);
  stopped.child.kill('SIGTERM');
  assert.equal((await stopped.ended).code, 143);
  const again = start(ranks(3, ...words('elastic', sets), '--resume'), { cwd: folder });
  await untilSteps(join(folder, 'elastic'), 25, again.child);
  again.child.kill('SIGINT');
  assert.equal((await again.ended).code, 130);
  await done(...words('elastic', sets), '--resume');
  const lines = linesOf(join(folder, 'elastic'));
  assertSameTraining(lines, linesOf(join(folder, 'unbroken')));
  assert.deepEqual([...new Set(lines.map(({ ranks }) => ranks))].sort(), [2, 3, undefined]);
});

test('a block that nobody ran is not sent', async () => {
  await done(...ranks(2, ...words('sent', ['depth.method=constant', 'train.microBatchSize=8'])));
  const {
    hiddenSize: D,
    ffnSize: F,
    vocabSize,
    maxPositions,
  } = JSON.parse(readFileSync(join(folder, 'sent/config.json'), 'utf8')).model;
  const block = 4 * (D * D + D) + 2 * D * F + F + D + 4 * D;
  const lines = linesOf(join(folder, 'sent')).filter(({ type }) => type === 'step');
  const outer = (vocabSize + maxPositions + 2) * D + 2 * D + 2 * (D * D + D) + 2 * D + vocabSize + 2 * D + 2;
  const depths = new Set<number>();
  for (const { depth, bytesSent, step, waitSeconds } of lines) {
    depths.add(Number(depth));
    // A step also adds up some counts and losses, in float64.
    const counts = Number(bytesSent) - 4 * (Number(depth) * block + outer);
    assert.ok(counts >= 0 && counts < 200, `step ${step}: ${depth} blocks, ${bytesSent} bytes`);
    assert.ok(Number(waitSeconds) > 0);
  }
  assert.deepEqual([...depths].sort(), [0, 1, 2]);
});

/** Ranks started one by one, as another launcher would. */
async function startRanks(commands: readonly string[][], env: Record<string, string> = {}): Promise<Started[]> {
  const port = await freePort();
  return commands.map((command, rank) => {
    const own = {
      RANK: `${rank}`,
      WORLD_SIZE: `${commands.length}`,
      LOCAL_RANK: `${rank}`,
      LOCAL_WORLD_SIZE: `${commands.length}`,
    };
    return start(command, { cwd: folder, env: { ...own, MASTER_ADDR: '127.0.0.1', MASTER_PORT: `${port}`, ...env } });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

test('ranks with different settings or texts are refused at the start, and both say what differs and where', async () => {
  writeFileSync(join(folder, 'other.txt'), sentences(400, 3));
  for (const [set, mistake] of [
    ['train.seed=7', /train\.seed: 7 on rank 1 and 1 on rank 0/],
    ['data.train=other.txt', /data\.train: rank 1 has other texts than rank 0/],
  ] as const) {
    const out = `differing-${set.length}`;
    const sets = set.startsWith('data') ? [`data.train=[other.txt]`] : [set];
    const started = await startRanks([words(out, []), words(out, sets)]);
    const [first, second] = await Promise.all(started.map(({ ended }) => ended));
    assert.equal(second!.code, 2, second!.stderr);
    assert.match(second!.stderr, mistake);
    assert.ok([2, 75].includes(first!.code!), first!.stderr);
    assert.match(first!.stderr, mistake);
  }
});

test('a port that another program has is named, and no rank waits for ever', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const MASTER_PORT = `${(server.address() as { port: number }).port}`;
    const [first] = await startRanks([words('port', [])], { WORLD_SIZE: '2', LOCAL_WORLD_SIZE: '2', MASTER_PORT });
    const { code, stderr } = await first!.ended;
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`MASTER_PORT: ${MASTER_PORT} is in use by another program`));
  } finally {
    server.close();
  }
});

test('launch refuses what is not done by several processes, and a micro-batch with fewer sequences than ranks', async () => {
  for (const [command, mistake] of [
    [['launch', '--processes', '2', '--', 'eval', 'x'], /launch: eval is not done by several processes/],
    [['launch', '--processes', 'two', '--', 'pretrain'], /give a whole number/],
    [
      ranks(2, ...words('few', ['train.batchSize=1', 'train.microBatchSize=1'])),
      /1 sequences cannot be divided over 2 ranks/,
    ],
  ] as const) {
    const { code, stdout, stderr } = await taper(command, { cwd: folder });
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, mistake);
  }
});

/** The ranks of a launcher: its children. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

test('a rank that is killed is named, all start again from the last checkpoint, and the losses are those of one process', async () => {
  await done(...words('whole', withDropout));
  const command = ['launch', '--processes', '2', '--max-restarts', '1', '--', ...words('killed', withDropout)];
  const { child, ended } = start(command, { cwd: folder });
  await untilSteps(join(folder, 'killed'), 15, child);
  process.kill(childrenOf(child.pid!)[1]!, 'SIGKILL');
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /rank 1 is gone or frozen/);
  assert.match(stderr, /rank 1 was ended by SIGKILL; starting all ranks again \(1 of 1\)/);
  assertSameTraining(linesOf(join(folder, 'killed')), linesOf(join(folder, 'whole')));
});
