import type { TextTokenizer } from '../data/index.ts';
import type { Sequence } from './task.ts';

/**
 * Encodes one text, or two, of each example as a sequence of at most `maxLength` tokens. What is too long is cut at its end; of a pair
 * the longer text is cut, token by token, until both fit.
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
    const [a, b] = parts.map((part, i) => part.subarray(0, lengths[i]));
    const { clsId, sepId } = tokenizer;
    const first = [clsId, ...a!, sepId];
    const ids = Int32Array.from(b ? [...first, ...b, sepId] : first);
    return { ids, secondStart: b ? first.length : ids.length };
  });
}
