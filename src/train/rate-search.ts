/** What a short run came to with one peak learning rate. */
export interface TriedRate {
  learningRate: number;
  /** On held-out text, in nats; infinite where training diverged. */
  loss: number;
}

/** Where training diverges with each rate, the search ends after so many. */
const mostDiverged = 10;

/**
 * The learning rate to try next: the search goes from `first` up and down by factors of two, until the best rate has a worse one on
 * either side; undefined then, or where training diverged with each.
 */
export function nextRate(tried: readonly TriedRate[], first: number): number | undefined {
  if (tried.length === 0) return first;
  const rates = tried.map(({ learningRate }) => learningRate);
  const [lowest, highest] = [Math.min(...rates), Math.max(...rates)];
  const { learningRate, loss } = leastLoss(tried);
  if (loss === Infinity) return tried.length < mostDiverged ? lowest / 2 : undefined;
  if (learningRate === highest) return 2 * highest;
  return learningRate === lowest ? lowest / 2 : undefined;
}

/**
 * The learning rate at the least loss, to two digits: the vertex of the parabola over log₂ of the rate through the best that was
 * tried and its neighbours, or the best itself where a neighbour diverged.
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
