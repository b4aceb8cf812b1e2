import type { Samples } from '../data/index.ts';
import { type Drawing, drawSentences } from './sentences.ts';

/** The fewest tokens of a beginning. */
const leastTokens = 6;

/** The first words of sentences in held-out text, drawn by a seed. */
export function heldOutBeginnings(samples: Samples, drawing: Drawing): string[] {
  const { tokenizer } = samples;
  return drawSentences(samples, drawing, ({ ids, start, end }) => {
    let cut = start + leastTokens;
    while (cut < end && tokenizer.isContinuation[ids[cut]!]) cut++;
    const text = tokenizer.decode(ids.subarray(start, cut)).trim();
    return cut < end && !text.includes('\n') ? text : undefined;
  });
}
