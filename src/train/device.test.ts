import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RankEnvironment } from '../distributed/index.ts';
import { gpus } from '../tensor/index.ts';
import { prepareDevice } from './device.ts';

/** What was done to a machine's two GPUs, which do not exist: all that works is to use one. */
function withTwoGpus(device: string, localRank?: number): { error: unknown; used: number[] } {
  const used: number[] = [];
  const real = { ...gpus };
  Object.assign(gpus, { count: () => 2, use: (index: number) => used.push(index) });
  try {
    const environment = localRank === undefined ? undefined : ({ localRank } as RankEnvironment);
    prepareDevice({ device, tf32: false }, environment);
    return { error: undefined, used };
  } catch (error) {
    return { error, used };
  } finally {
    Object.assign(gpus, real);
  }
}

test('a rank takes the GPU of its number on the machine, and a process alone the one that is named', () => {
  assert.deepEqual(withTwoGpus('cuda', 1).used, [1]);
  assert.deepEqual(withTwoGpus('cuda').used, [0]);
  assert.deepEqual(withTwoGpus('cuda:1').used, [1]);
  assert.deepEqual(withTwoGpus('cpu'), { error: undefined, used: [] });
  assert.deepEqual(withTwoGpus('cpu', 1), { error: undefined, used: [] });
});

test('more ranks than GPUs, one GPU for all of them, and a GPU that does not exist are refused with a fix', () => {
  const refused = (device: string, localRank?: number) => {
    const { error, used } = withTwoGpus(device, localRank);
    assert.deepEqual(used, []);
    return String(error);
  };
  assert.match(
    refused('cuda', 2),
    /^ConfigError: train\.device: this machine has fewer GPUs \(2\) than ranks \(at least 3\); start one/,
  );
  assert.match(refused('cuda:1', 0), /^ConfigError: train\.device: every rank would use cuda:1; set it to cuda, /);
  assert.match(refused('cuda:7'), /^ConfigError: device: cuda:7 is not available.*2 GPUs are visible, from cuda:0 on/);
});
