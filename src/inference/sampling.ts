/** Default of `--top-k` and of `top_k`. */
export const defaultTopK = 50;

/** How a token is drawn from logits. */
export interface SamplingOptions {
  /** Logits are divided by it: below 1 makes likely tokens more likely; 0 takes the most likely. */
  temperature: number;
  /** Tokens are drawn from only this many of the most likely. */
  topK: number;
  /** Tokens are drawn from only the most likely ones that together reach this probability; 1 for all. */
  topP: number;
}

/**
 * The index of the token that is drawn from logits in descending order (at least one): the first whose cumulative probability
 * `softmax(logits / temperature)`, among those that `topP` leaves, is above `draw` in [0, 1).
 *
 * Source of topP: Holtzman et al. 2020 (arXiv 1904.09751).
 */
export function sampleFrom(
  logits: ArrayLike<number>,
  { temperature, topP }: Pick<SamplingOptions, 'temperature' | 'topP'>,
  draw: number,
): number {
  if (temperature === 0) return 0;
  const likelihoods = Array.from(logits, (logit) => Math.exp((logit - logits[0]!) / temperature));
  const all = likelihoods.reduce((sum, likelihood) => sum + likelihood, 0);
  let kept = 0;
  const last = likelihoods.findIndex((likelihood) => {
    kept += likelihood;
    return kept >= topP * all;
  });
  let left = draw * kept;
  const place = likelihoods.findIndex((likelihood) => {
    left -= likelihood;
    return left < 0;
  });
  const most = last < 0 ? likelihoods.length - 1 : last;
  return place < 0 || place > most ? most : place;
}
