import { Tensor } from '../tensor/index.ts';

/** How labels are learned. */
export interface LabelLearning {
  /** Label smoothing ε: the share of the target that is spread over all labels. */
  smoothing: number;
  /** The weight of each label. Default: 1 each. */
  weights?: readonly number[] | undefined;
}

/** How the labels of a user's data set are learned. */
export interface LabelOptions {
  /** Label smoothing ε: the share of the target that is spread over all labels. */
  smoothing?: number;
  /** Whether all labels have the same total weight, however frequent they are. */
  isBalanced?: boolean;
}

/**
 * The mean over M rows of `w·((1 − ε)·(−log p_y) + ε·mean_c(−log p_c))`, divided by the mean of w, where p is the softmax of
 * logits [M, C] and w the weight of the row's label y.
 *
 * Source: Szegedy et al. 2016 (arXiv 1512.00567), section 7, for ε.
 */
export function labelLoss(
  logits_MC: Tensor,
  targets: readonly number[],
  { smoothing, weights }: LabelLearning,
): Tensor {
  const { device } = logits_MC;
  const [M, C] = logits_MC.shape as [number, number];
  const ids = Tensor.from(BigInt64Array.from(targets, BigInt), [M], { device });
  if (smoothing === 0 && !weights) return logits_MC.crossEntropy(ids, 'mean');
  const counted = targets.map((y) => weights?.[y] ?? 1);
  const sum = counted.reduce((a, b) => a + b, 0);
  // ε·(z_y − mean z) turns −log p_y into its mean over the smoothed target.
  const shares = new Float32Array(M * C).fill(-smoothing / C);
  for (const [row, y] of targets.entries()) shares[row * C + y]! += smoothing;
  const extra_M = logits_MC.mul(Tensor.from(shares, [M, C], { device })).sum(1);
  const losses_M = logits_MC.crossEntropy(ids, 'none').add(extra_M);
  const shareOf = Float32Array.from(counted, (weight) => weight / sum);
  return losses_M.mul(Tensor.from(shareOf, [M], { device })).sum();
}

/**
 * Weights that give each of C labels the same total weight: `N / (C · n_c)` for a label that n_c of N targets have.
 *
 * @throws RangeError for a target that is not in 0 … C − 1.
 */
export function balancedWeights(numLabels: number, targets: readonly number[]): number[] {
  const counts = new Array<number>(numLabels).fill(0);
  for (const target of targets) {
    if (!Object.hasOwn(counts, target)) throw new RangeError(`targets: ${target} is not in 0 … ${numLabels - 1}`);
    counts[target]! += 1;
  }
  return counts.map((count) => (count === 0 ? 1 : targets.length / (numLabels * count)));
}
