/** Default of `--top-k` and of `top_k`. */
export const defaultTopK = 50;

/** How a token is drawn from logits. */
export interface SamplingOptions {
  /** What logits are divided by: below 1 likely tokens become likelier; 0 takes the likeliest. */
  temperature: number;
  /** Only so many of the likeliest tokens are drawn from. */
  topK: number;
  /** Only the likeliest tokens that reach this probability together are drawn from; 1 for all. */
  topP: number;
}

/**
 * The place of the token that is drawn from logits in falling order, of which there is one at least: the first whose cumulative
 * probability `softmax(logits / temperature)`, among those that `topP` leaves, is above `draw` in [0, 1).
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
