/** The result of a short run with one peak learning rate. */
export interface TriedRate {
  learningRate: number;
  /** The held-out loss, in nats; infinite if training diverged. */
  loss: number;
}

/** The search ends after this many rates if training diverges with all of them. */
const mostDiverged = 10;

/**
 * The learning rate to try next: the search goes from `first` up and down by factors of two, until the best rate has a worse one
 * on either side; undefined then, or if training diverged with all rates.
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
 * The learning rate with the lowest loss, to two digits: the vertex of the parabola, over log₂ of the rate, through the best
 * tried rate and its neighbours; the best tried rate itself if a neighbour diverged.
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
