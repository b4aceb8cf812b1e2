import type { TextTokenizer } from '../data/index.ts';
import type { Encoded, Sequence } from './task.ts';

/** Whether an example that is read as one sequence fills it. */
export const fills = ({ sequences }: Encoded, maxLength: number): boolean =>
  sequences.length === 1 && sequences[0]!.ids.length === maxLength;

/**
 * Encodes the one or two texts of each example as a sequence of at most `maxLength` tokens. A text that is too long is truncated
 * at its end; in a pair the longer text is truncated, token by token, until both fit.
 */
export async function encodeTexts(
  examples: readonly (readonly string[])[],
  tokenizer: TextTokenizer,
  maxLength: number,
): Promise<Sequence[]> {
  const encoded = await tokenizer.encodeBatch(examples.flat());
  let next = 0;
  return examples.map((texts) => {
    const parts = texts.map(() => encoded[next++]!);
    const room = maxLength - 1 - parts.length;
    const lengths = parts.map(({ length }) => length);
    while (lengths.reduce((a, b) => a + b) > room) lengths[lengths.indexOf(Math.max(...lengths))]! -= 1;
    const ids = new Int32Array(lengths.reduce((sum, length) => sum + length + 1, 1));
    ids[0] = tokenizer.clsId;
    let end = 1;
    const ends = parts.map((part, i) => {
      ids.set(part.subarray(0, lengths[i]), end);
      end += lengths[i]! + 1;
      ids[end - 1] = tokenizer.sepId;
      return end;
    });
    return { ids, secondStart: ends[0]! };
  });
}
