import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../src/distributed/launch.ts';
import { linesOf, sentences, start, taper, typed, untilSteps } from '../cli.fixture.ts';
import { obstacleToHosts, onTwoHosts } from './hosts.ts';
import { limitMemory, obstacleToLimits, obstacleToRoot, sh } from './root.ts';
import { endOf, peerTimeout, type World } from './world.ts';

/** What came of one fault. */
export interface Outcome {
  /** In words, for the table. */
  outcome: string;
  /** From the fault to the end of the last rank. */
  seconds?: number;
  /** Steps after the newest checkpoint, which are done again. */
  repeated?: number;
}

export interface Fault {
  name: string;
  /** How often it is tried when all faults are. */
  times: number;
  /** Whether `npm test` tries it once. */
  isShort?: true;
  /** Why it cannot be caused here. */
  obstacle?(): string | undefined;
  cause(world: World): Promise<Outcome>;
}

const soakMegabytes = 400;

const someStep = () => 12 + Math.floor(Math.random() * 30);

/** A signal to one rank at a random moment of training; the others name it, and the run resumes from its checkpoint. */
function signalTo(signal: NodeJS.Signals, rank: number, processes: number) {
  return async (world: World): Promise<Outcome> => {
    const out = world.newRun();
    const launched = await world.launch(out, { processes, afterSteps: someStep() });
    await sleep(20 * Math.random());
    process.kill(launched.ranks[rank]!, signal);
    const { code, stderr, seconds } = await endOf(launched);
    assert.notEqual(code, 0, stderr);
    assert.match(stderr, new RegExp(`rank ${rank} is gone or frozen .*; start all ranks again with --resume`));
    return { outcome: `the others name rank ${rank} and stop`, seconds, repeated: await world.checkResumes(out) };
  };
}

export const faults: Fault[] = [
  {
    name: 'SIGKILL of one rank of two in the middle of a step',
    times: 20,
    isShort: true,
    cause: signalTo('SIGKILL', 1, 2),
  },
  { name: 'SIGKILL of one rank of three', times: 10, cause: signalTo('SIGKILL', 2, 3) },
  { name: 'SIGKILL of rank 0', times: 20, isShort: true, cause: signalTo('SIGKILL', 0, 2) },
  { name: 'SIGKILL of rank 0 of three', times: 10, cause: signalTo('SIGKILL', 0, 3) },
  {
    name: `one rank frozen (SIGSTOP) beyond the timeout of ${peerTimeout} s`,
    times: 5,
    isShort: true,
    cause: signalTo('SIGSTOP', 1, 2),
  },
  { name: 'rank 0 frozen (SIGSTOP) beyond the timeout', times: 5, cause: signalTo('SIGSTOP', 0, 3) },
  {
    name: 'SIGKILL of rank 0 while it writes a checkpoint',
    times: 20,
    async cause(world) {
      const out = world.newRun();
      const launched = await world.launch(out, { sets: ['train.saveEvery=1'] });
      await untilSteps(world.at(out), 5 + Math.floor(10 * Math.random()), launched.child);
      const folder = world.at(out, 'checkpoints');
      const isWriting = () => readdirSync(folder).some((name) => name.endsWith('.partial'));
      while (launched.child.exitCode === null && !isWriting()) await sleep(0);
      process.kill(launched.ranks[0]!, 'SIGKILL');
      const { code, seconds } = await endOf(launched);
      assert.notEqual(code, 0);
      return { outcome: 'the previous checkpoint is intact', seconds, repeated: await world.checkResumes(out) };
    },
  },
  {
    name: 'SIGKILL of one rank before training begins',
    times: 5,
    async cause(world) {
      const out = world.newRun();
      const launched = await world.launch(out);
      await sleep(100 + 400 * Math.random());
      process.kill(launched.ranks[1]!, 'SIGKILL');
      const { code, seconds } = await endOf(launched);
      assert.notEqual(code, 0);
      return { outcome: 'all stop', seconds, repeated: await world.checkResumes(out) };
    },
  },
  {
    name: 'the launcher killed (SIGKILL)',
    times: 5,
    isShort: true,
    async cause(world) {
      const out = world.newRun();
      const launched = await world.launch(out, { afterSteps: someStep() });
      launched.child.kill('SIGKILL');
      await launched.ended;
      const started = performance.now();
      while (launched.ranks.some((pid) => existsSync(`/proc/${pid}`))) {
        assert.ok(performance.now() - started < 20_000, 'ranks outlive their launcher');
        await sleep(20);
      }
      const seconds = (performance.now() - started) / 1000;
      const repeated = await world.checkResumes(out);
      assert.equal(repeated, 0);
      return { outcome: 'the ranks save and end', seconds, repeated };
    },
  },
  {
    name: 'a port in use by another program',
    times: 3,
    isShort: true,
    async cause(world) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        const { port } = server.address() as { port: number };
        const { code, stderr } = await world.startRank(0, world.pretrain(world.newRun()), { MASTER_PORT: `${port}` })
          .ended;
        assert.equal(code, 2, stderr);
        assert.match(stderr, new RegExp(`MASTER_PORT: ${port} is in use by another program`));
        return { outcome: 'refused: exit code 2, the error names the port' };
      } finally {
        server.close();
      }
    },
  },
  {
    name: 'ranks with different settings',
    times: 3,
    isShort: true,
    cause: (world) =>
      refusedTogether(
        world,
        [world.pretrain('differ'), world.pretrain('differ', ['train.seed=7'])],
        /train\.seed: 7 on rank 1 and 1 on rank 0/,
      ),
  },
  {
    name: 'ranks with different texts',
    times: 3,
    isShort: true,
    cause(world) {
      writeFileSync(world.at('other.txt'), sentences(400, 3));
      const words = [world.pretrain('differ'), world.pretrain('differ', ['data.train=[other.txt]'])];
      return refusedTogether(world, words, /data\.train: the texts of rank 1 differ from those of rank 0/);
    },
  },
  {
    name: 'the disk of rank 0 full when it saves',
    times: 3,
    isShort: true,
    obstacle: () => obstacleToRoot('mount'),
    async cause(world) {
      const disk = world.at('disk');
      sh(`mkdir -p ${disk}; mount -t tmpfs -o size=1200k none ${disk}`);
      try {
        const launched = await world.launch('disk/run', { sets: ['train.keepCheckpoints=100'] });
        const { code, stderr, seconds } = await endOf(launched);
        assert.equal(code, 2, stderr);
        assert.match(stderr, /disk\/run\/checkpoints\/step-\d+: .*the disk is full/);
        assert.match(stderr, /rank 0 on \S+ failed: .*the disk is full/); // what rank 1 received
        sh(`mount -o remount,size=100m ${disk}`);
        return {
          outcome: 'all stop, exit code 2; the error names the folder',
          seconds,
          repeated: await world.checkResumes('disk/run'),
        };
      } finally {
        sh(`umount ${disk}`);
      }
    },
  },
  {
    name: 'the newest checkpoint corrupted',
    times: 5,
    isShort: true,
    async cause(world) {
      const out = world.newRun();
      const launched = await world.launch(out, { afterSteps: 25 });
      launched.child.kill('SIGTERM');
      await endOf(launched);
      const newest = readFileSync(world.at(out, 'checkpoints/latest'), 'utf8').trim();
      const files = ['model.safetensors', 'optimizer.safetensors', 'trainer.json', 'tokenizer.json'];
      const file = world.at(out, 'checkpoints', newest, files[Math.floor(files.length * Math.random())]!);
      const bytes = readFileSync(file);
      bytes[Math.floor(bytes.length * Math.random())]! ^= 1;
      writeFileSync(file, bytes);
      return { outcome: 'reported, and the previous one is used', repeated: await world.checkResumes(out) };
    },
  },
  {
    name: 'a gradient that is not finite on one rank only',
    times: 3,
    isShort: true,
    async cause(world) {
      const program = fileURLToPath(new URL('poisoned-rank.js', import.meta.url));
      const port = await freePort();
      const ends = await Promise.all(
        [0, 1].map((rank) => {
          const env = { RANK: `${rank}`, WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: `${port}` };
          return taper([], { cwd: world.folder, program, env });
        }),
      );
      for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
      const [first, second] = ends.map(({ stdout }) => JSON.parse(stdout) as { applied: boolean[]; weights: string[] });
      assert.deepEqual(first!.applied, [true, true, false, true]);
      assert.deepEqual(first, second);
      assert.equal(first!.weights[2], first!.weights[1]);
      assert.notEqual(first!.weights[3], first!.weights[2]);
      return { outcome: 'no rank applies the step, all continue' };
    },
  },
  {
    name: 'a training of two ranks that diverges',
    times: 2,
    isShort: true,
    async cause(world) {
      const out = world.newRun();
      const sets = ['train.peakLearningRate=1e30', 'train.saveEvery=1', 'train.shardOptimizer=true'];
      const port = await freePort();
      const ranks = [0, 1].map(
        (rank) => world.startRank(rank, world.pretrain(out, sets), { MASTER_PORT: `${port}` }).ended,
      );
      const [first, second] = await Promise.all(ranks);
      for (const { code, stderr } of [first!, second!]) {
        assert.equal(code, 2, stderr);
        assert.match(stderr, /training diverged: .* not finite/);
      }
      assert.ok(!existsSync(world.at(out, 'checkpoints')), first!.stderr);
      const { code, stderr } = await typed(first!.stderr, { cwd: world.folder });
      assert.equal(code, 0, stderr);
      return { outcome: 'nothing of it is saved, exit code 2; the command that rank 0 suggests trains' };
    },
  },
  {
    name: 'the link between two hosts cut',
    times: 3,
    obstacle: obstacleToHosts,
    cause: (world) =>
      onTwoHosts(async (hosts) => {
        const out = world.newRun();
        const ranks = hosts.start(world.pretrain(out), { cwd: world.folder });
        await untilSteps(world.at(out), someStep(), ranks[0]!.child);
        const cut = performance.now();
        hosts.cut();
        const ends = await Promise.all(ranks.map(({ ended }) => ended));
        const seconds = (performance.now() - cut) / 1000;
        for (const { code, stderr } of ends) {
          assert.equal(code, 75, stderr);
          assert.match(stderr, /rank [01](?: is gone or frozen|, which relays)/);
        }
        return { outcome: 'both stop, each naming the other', seconds, repeated: await world.checkResumes(out) };
      }),
  },
  {
    name: 'the link between two hosts slow (4 Mbit/s)',
    times: 2,
    obstacle: obstacleToHosts,
    cause: (world) =>
      onTwoHosts(async (hosts) => {
        const out = world.newRun();
        hosts.limit(4);
        const ranks = hosts.start(world.pretrain(out), { cwd: world.folder });
        const ends = await Promise.all(ranks.map(({ ended }) => ended));
        for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
        const steps = linesOf(world.at(out)).filter(({ type }) => type === 'step');
        const share = (key: string) => steps.reduce((sum, line) => sum + Number(line[key]), 0);
        const waited = share('waitSeconds') / share('stepSeconds');
        assert.ok(waited > 0.5, `waited for ${waited} of the time`);
        await world.checkResumes(out);
        return { outcome: `continues, with the same losses; ${Math.round(100 * waited)} % of the time is waiting` };
      }),
  },
  {
    name: 'one process: SIGKILL at 100 random moments of training and saving',
    times: 1,
    async cause(world) {
      const sets = ['train.steps=700', 'train.saveEvery=1', 'train.evalEvery=0', 'model.attentionDropout=0.1'];
      const whole = await taper(world.pretrain('whole', sets), { cwd: world.folder });
      assert.equal(whole.code, 0, whole.stderr);
      let kills = 0;
      for (let done = false; !done; ) {
        const before = linesOf(world.at('killed')).length;
        const { child, ended } = start([...world.pretrain('killed', sets), '--resume'], { cwd: world.folder });
        if (kills < 100) {
          await untilSteps(world.at('killed'), before + 1, child);
          await sleep(60 * Math.random());
          child.kill('SIGKILL');
        }
        const { code, signal, stderr } = await ended;
        assert.ok(code === 0 || signal === 'SIGKILL', stderr);
        kills += Number(signal === 'SIGKILL');
        done = code === 0;
      }
      assert.ok(kills === 100, `${kills} kills: the run was too short`);
      for (const file of ['model.safetensors', 'optimizer.safetensors']) {
        const [found, expected] = ['killed', 'whole'].map((out) =>
          readFileSync(world.at(out, 'checkpoints/step-700', file)),
        );
        assert.ok(found!.equals(expected!), file);
      }
      return { outcome: 'resumed each time; final weights and optimizer state are bit-equal to the uninterrupted run' };
    },
  },
  {
    name: `one process: 5,000 steps, 50 evaluations and 250 checkpoints in ${soakMegabytes} MB of memory`,
    times: 1,
    obstacle: obstacleToLimits,
    async cause(world) {
      const sets = ['train.steps=5000', 'train.saveEvery=20', 'train.evalEvery=100'];
      const { child, ended } = start(world.pretrain('soak', sets), { cwd: world.folder });
      limitMemory(child.pid!, soakMegabytes);
      const { code, signal, stderr } = await ended;
      assert.equal(code, 0, `${signal} ${stderr}`);
      const peaks = linesOf(world.at('soak')).flatMap(({ peakMemoryBytes }) => Number(peakMemoryBytes ?? Number.NaN));
      const peakAt = (step: number) => peaks.filter((peak) => peak > 0)[step - 1]! / 1e6;
      return {
        outcome: `ends; peak ${peakAt(1000).toFixed(0)} MB after 1,000 steps, ${peakAt(5000).toFixed(0)} MB after 5,000`,
      };
    },
  },
];

/** Ranks that are refused at the start: both end, and both say why. */
async function refusedTogether(world: World, words: readonly string[][], mistake: RegExp): Promise<Outcome> {
  const port = await freePort();
  const started = performance.now();
  const ends = await Promise.all(
    words.map((command, rank) => world.startRank(rank, command, { MASTER_PORT: `${port}` }).ended),
  );
  const seconds = (performance.now() - started) / 1000;
  for (const { code, stderr } of ends) {
    assert.ok(code === 2 || code === 75, stderr);
    assert.match(stderr, mistake);
  }
  assert.equal(ends[1]!.code, 2, ends[1]!.stderr); // it is rank 1 that differs
  return { outcome: 'refused at the start, by both ranks', seconds };
}
