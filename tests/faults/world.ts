import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ended, type Line, linesOf, type Started, start, taper, untilSteps, writeTiny } from '../cli.fixture.ts';

export const steps = 60;
export const saveEvery = 10;
/** So long a rank waits for one that shows no sign of life. */
export const peerTimeout = 3;

const settings = [
  `train.steps=${steps}`,
  `train.saveEvery=${saveEvery}`,
  `train.peerTimeout=${peerTimeout}`,
  'train.evalEvery=20',
  'train.precision=fp32',
  'train.microBatchSize=8',
  'model.dropout=0.1',
];

/** A folder with texts, and what training on them gives that nothing disturbs. */
export class World implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'taper-faults-'));
  #numRuns = 0;
  #unbroken: Line[] | undefined;

  constructor() {
    writeTiny(this.folder);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The name of a run that does not exist yet. */
  newRun(): string {
    return `run-${this.#numRuns++}`;
  }

  at(...path: string[]): string {
    return join(this.folder, ...path);
  }

  pretrain(out: string, sets: readonly string[] = []): string[] {
    return ['pretrain', 'tiny.yaml', '--out', out, '--set', ...settings, ...sets];
  }

  /** Several ranks under `taper-lm launch`, once they have done some steps. */
  async launch(out: string, { processes = 2, afterSteps = 0, sets = [] as string[] } = {}): Promise<Launched> {
    const command = ['launch', '--processes', `${processes}`, '--', ...this.pretrain(out, sets)];
    const started = start(command, { cwd: this.folder });
    const ranks = await childrenOf(started.child.pid!, processes);
    if (afterSteps > 0) await untilSteps(this.at(out), afterSteps, started.child);
    return { ...started, ranks };
  }

  /** One rank as a launcher of another kind starts it. */
  startRank(rank: number, words: readonly string[], env: Record<string, string>, cwd = this.folder): Started {
    const own = { RANK: `${rank}`, WORLD_SIZE: '2', LOCAL_RANK: `${rank}`, LOCAL_WORLD_SIZE: '2' };
    return start(words, { cwd, env: { ...own, MASTER_ADDR: '127.0.0.1', ...env } });
  }

  /**
   * After a fault: the newest checkpoint is whole, and resuming from it, with one process, gives the losses of a run that nothing
   * disturbed. Returns the steps after that checkpoint, which are done again.
   */
  async checkResumes(out: string): Promise<number> {
    const before = linesOf(this.at(out)).filter(({ type }) => type === 'step').length;
    const { code, stderr } = await taper([...this.pretrain(out), '--resume'], { cwd: this.folder });
    assert.equal(code, 0, stderr);
    const from = Number(/continuing from \S+step-(\d+)/.exec(stderr)?.[1] ?? 0);
    const found = linesOf(this.at(out));
    const expected = await this.unbroken();
    assert.equal(found.length, expected.length);
    for (const [i, { loss, step, samples }] of expected.entries()) {
      assert.deepEqual([found[i]!.step, found[i]!.samples], [step, samples]);
      const difference = Math.abs(Number(found[i]!.loss) - Number(loss));
      assert.ok(difference < 1e-5, `step ${step}: loss ${found[i]!.loss}, unbroken ${loss}`);
    }
    return Math.max(0, before - from);
  }

  async unbroken(): Promise<Line[]> {
    if (this.#unbroken === undefined) {
      const { code, stderr } = await taper(this.pretrain('unbroken'), { cwd: this.folder });
      assert.equal(code, 0, stderr);
      this.#unbroken = linesOf(this.at('unbroken'));
    }
    return this.#unbroken;
  }
}

/** Ranks under a launcher, with their process numbers. */
export interface Launched extends Started {
  ranks: number[];
}

/** The processes that a process has started, once it has this many. */
export async function childrenOf(pid: number, count: number): Promise<number[]> {
  for (;;) {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    const children = text === '' ? [] : text.split(' ').map(Number);
    if (children.length >= count) return children;
    await sleep(5);
  }
}

/** Waits for the end of a launcher after a fault, and checks that it leaves no rank behind. Seconds that it took. */
export async function endOf({ ended, ranks }: Launched): Promise<Ended & { seconds: number }> {
  const started = performance.now();
  const end = await ended;
  const left = ranks.filter((pid) => existsSync(`/proc/${pid}`));
  assert.deepEqual(left, [], 'ranks that are left behind');
  return { ...end, seconds: (performance.now() - started) / 1000 };
}
