/** What a short run came to with one peak learning rate. */
export interface TriedRate {
  learningRate: number;
  /** On held-out text, in nats; infinite where training diverged. */
  loss: number;
}

/** Factors of two from the first rate in which the best one is looked for, in both directions. */
const reach = 6;

/**
 * The learning rate to try next: from `first` on up and down by factors of two, until the best that was tried has a worse one on
 * either side; undefined then.
 */
export function nextRate(tried: readonly TriedRate[], first: number): number | undefined {
  if (tried.length === 0) return first;
  const sorted = [...tried].sort((a, b) => a.learningRate - b.learningRate);
  const best = sorted.indexOf(leastLoss(sorted));
  const { learningRate } = sorted[best]!;
  const isWithin = (rate: number) => Math.abs(Math.log2(rate / first)) < reach + 0.5;
  if (best === sorted.length - 1 && isWithin(2 * learningRate)) return 2 * learningRate;
  if (best === 0 && isWithin(learningRate / 2)) return learningRate / 2;
  return undefined;
}

/**
 * The learning rate at the least loss, to two digits: the vertex of the parabola over log₂ of the rate through the best that was
 * tried and its neighbours, or the best itself where a neighbour is missing or diverged.
 */
export function bestRate(tried: readonly TriedRate[]): number {
  const { learningRate, loss } = leastLoss(tried);
  const lossAt = (rate: number) => tried.find((one) => Math.abs(one.learningRate / rate - 1) < 1e-9)?.loss ?? Infinity;
  const [below, above] = [lossAt(learningRate / 2), lossAt(2 * learningRate)];
  const curvature = below + above - 2 * loss;
  const isParabola = Number.isFinite(curvature) && curvature > 0;
  return rounded(learningRate * 2 ** (isParabola ? (below - above) / (2 * curvature) : 0));
}

const rounded = (rate: number) => Number(rate.toPrecision(2));

function leastLoss(tried: readonly TriedRate[]): TriedRate {
  return tried.reduce((best, one) => (one.loss < best.loss ? one : best));
}
