import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../src/distributed/launch.ts';
import { type Line, linesOf, start, taper, untilSteps, writeTiny } from './cli.fixture.ts';
import { childrenOf } from './faults/world.ts';

// Several processes on this machine against one. What becomes of them when something goes wrong is in faults.test.ts.

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
  'Muon with a divided optimizer, clipped': {
    processes: 2,
    sets: ['train.optimizer=muon', 'train.shardOptimizer=true', 'train.clipNorm=0.1'],
  },
  'a model that grows by copies with their moments, a divided optimizer': {
    processes: 2,
    sets: [
      'depth.method=grow',
      'depth.growBlocks=[1,2]',
      'depth.growAt=[20]',
      'depth.newMoments=copy',
      'train.shardOptimizer=true',
    ],
  },
  GPT: { processes: 2, sets: ['model.kind=gpt2', 'model.vocabSize=300', 'data.objective=clm'] },
};

for (const [name, { processes, sets }] of Object.entries(cases)) {
  test(`${processes} ranks train as one process does, to 1e-5 for ${steps} steps: ${name}`, async () => {
    const outs = [1, processes].map((count) => `${name.replace(/\W+/g, '-')}-${count}`) as [string, string];
    await done(...words(outs[0], sets));
    await done(...ranks(processes, ...words(outs[1], sets)));
    assertSameTraining(linesOf(join(folder, outs[1])), linesOf(join(folder, outs[0])));
    const [first, second] = outs.map((out) =>
      headerOf(join(folder, out, `checkpoints/step-${steps}/optimizer.safetensors`)),
    );
    assert.equal(second, first);
  });
}

/** What a safetensors file says that it holds, and where. */
function headerOf(path: string): string {
  const bytes = readFileSync(path);
  return bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString();
}

test('a checkpoint of two ranks resumes with three, and then with one, as if it had always been one', async () => {
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

test('a MASTER_ADDR of no machine is refused, and one of IPv6 may be in brackets', async (t) => {
  const rank = (RANK: string, MASTER_ADDR: string, port: number) =>
    taper(['pretrain', 'tiny.yaml', '--out', 'meet', '--quiet'], {
      cwd: folder,
      env: { RANK, WORLD_SIZE: '2', MASTER_ADDR, MASTER_PORT: `${port}` },
    });
  const { code, stderr } = await rank('1', 'nowhere.invalid', await freePort());
  assert.equal(code, 2, stderr);
  assert.match(
    stderr,
    /^taper: MASTER_ADDR: nowhere\.invalid: .*; give the name or address of rank 0's machine[^\n]*\n$/,
  );
  if (!Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))) {
    t.diagnostic('this machine has no ::1');
    return;
  }
  const port = await freePort();
  const ends = await Promise.all([rank('0', '[::1]', port), rank('1', '[::1]', port)]);
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0],
    ends.map(({ stderr }) => stderr).join(''),
  );
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

test('launch refuses what is not done by several processes, and a micro-batch with fewer sequences than ranks', async () => {
  for (const [command, mistake] of [
    [
      ['launch', '--processes', '2', '--', 'eval', 'x'],
      /launch: eval does not run in several processes; write npx taper-lm launch --processes 2 -- pretrain …/,
    ],
    [
      ['launch', 'pretrain', 'tiny.yaml', '--processes', '2'],
      /--processes: missing; give it before the command, as in npx/,
    ],
    // What stands before pretrain is the launcher's, what stands after it is not, with and without --.
    [['launch', '--processes', '1', 'pretrain', 'none.yaml', '--out', 'x', '--quiet'], /none\.yaml: no such file/],
    [['launch', '--processes', 'two', '--', 'pretrain'], /--processes two: not an integer ≥ 1/],
    [
      ranks(2, ...words('few', ['train.batchSize=1', 'train.microBatchSize=1'])),
      /1 sequence cannot be divided among 2 ranks/,
    ],
  ] as const) {
    const { code, stdout, stderr } = await taper(command, { cwd: folder });
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, mistake);
  }
});

test('a rank that is killed is named, all start again from the last checkpoint, and the losses are those of one process', async () => {
  await done(...words('whole', withDropout));
  const command = ['launch', '--processes', '2', '--max-restarts', '1', '--', ...words('killed', withDropout)];
  const { child, ended } = start(command, { cwd: folder });
  await untilSteps(join(folder, 'killed'), 15, child);
  process.kill((await childrenOf(child.pid!, 2))[1]!, 'SIGKILL');
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /rank 1 is gone or frozen/);
  assert.match(stderr, /rank 1 was killed by SIGKILL; starting all ranks again \(1 of 1\)/);
  assertSameTraining(linesOf(join(folder, 'killed')), linesOf(join(folder, 'whole')));
});

test('a training that diverged is not started again', async () => {
  const diverging = ['train.peakLearningRate=1e20', 'train.warmupRatio=0', 'train.clipNorm=0'];
  const command = ['launch', '--processes', '2', '--max-restarts', '3', '--', ...words('diverged', diverging)];
  const { code, stderr } = await taper(command, { cwd: folder });
  assert.equal(code, 2, stderr);
  assert.match(stderr, /not finite for 5 steps in a row.*with a lower learning rate: npx taper-lm pretrain /);
  assert.doesNotMatch(stderr, /starting all ranks again/);
});

test('when all ranks are killed, the launcher says so', async () => {
  const { child, ended } = start(ranks(2, ...words('all', ['train.steps=100000'])), { cwd: folder });
  await untilSteps(join(folder, 'all'), 2, child);
  for (const rank of await childrenOf(child.pid!, 2)) process.kill(rank, 'SIGKILL');
  const { code, stderr } = await ended;
  assert.equal(code, 137);
  assert.match(stderr, /^rank [01] was killed by SIGKILL$/m);
});

test('ranks with different WORLD_SIZE report it', async () => {
  const port = String(await freePort());
  const both = [2, 3].map((size, rank) => {
    const env = { RANK: `${rank}`, WORLD_SIZE: `${size}`, MASTER_ADDR: '127.0.0.1', MASTER_PORT: port };
    return start(words('sizes', []), { cwd: folder, env }).ended;
  });
  for (const { code, stderr } of await Promise.all(both)) {
    assert.match(stderr, /WORLD_SIZE: 3 on rank 1, but 2 on rank 0/);
    assert.ok(code === 2 || code === 75, `${code}`);
  }
});
