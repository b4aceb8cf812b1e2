const spaces = /[ \t\n\r]+/;
const gptWord = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The runs between white space; BERT's tokenizer never looks past it. */
export function splitAtSpaces(text: string): string[] {
  return text.split(spaces);
}

/**
 * The words of GPT-2, each with the space before it: its tokenizer never looks past one.
 * Source: the pattern of openai/gpt-2's encoder.py.
 */
export function gptWords(text: string): string[] {
  return text.match(gptWord) ?? [];
}

/** A copy of a string that is a part of a larger one: the part alone would keep the whole in memory. */
export function ownCopy(part: string): string {
  return Buffer.from(part, 'utf16le').toString('utf16le');
}
