// One of two ranks as a program of its own: in its third step rank 1 has a loss that is not a number. Prints which steps were
// applied, and the weights after each.
import { createHash } from 'node:crypto';
import { joinRanks, rankEnvironment } from '../../src/distributed/index.ts';
import { initialise } from '../../src/model/index.ts';
import { trainingState, trainStep } from '../../src/train/index.ts';
import { tinyBatch, tinyConfig } from '../../src/train/tiny.fixture.ts';

using group = await joinRanks(rankEnvironment(), { device: 'cpu', timeoutSeconds: 10 });
const config = tinyConfig({ train: { batchSize: 4, microBatchSize: 4 } });
const state = trainingState(config, initialise(config.model, 1), { group });
const { model } = state;
const tokenLoss = model.tokenLoss.bind(model);
const applied: boolean[] = [];
const weights: string[] = [];
for (let step = 0; step < 4; step++) {
  const factor = step === 2 && group.rank === 1 ? Number.NaN : 1;
  model.tokenLoss = (...words) => {
    const { loss, hits } = tokenLoss(...words);
    return { loss: loss.mul(factor), hits };
  };
  const batch = { ...tinyBatch(2 * step + group.rank), part: { first: 2 * group.rank, of: 4 } };
  applied.push(trainStep(state, step, [batch]).applied);
  const hash = createHash('sha256');
  for (const master of state.masters.values()) hash.update(Buffer.from(master.toArray().buffer));
  weights.push(hash.digest('hex'));
}
process.stdout.write(JSON.stringify({ applied, weights }));
