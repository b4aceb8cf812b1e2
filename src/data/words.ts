const spaces = /[ \t\n\r]+/;
const beforeOneSpace = /(?<=[^\s\u0085])(?= [^\s\u0085])/u;
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

/**
 * Cuts in front of single spaces between other characters: GPT-2's pattern begins a word there whatever these characters are. What is
 * a letter differs between versions of Unicode, and so between the tokenizers library and JavaScript; what is a space does not.
 */
export function splitBeforeSpaces(text: string): string[] {
  return text.split(beforeOneSpace);
}

/** A copy of a string that is a part of a larger one: the part alone would keep the whole in memory. */
export function ownCopy(part: string): string {
  return Buffer.from(part, 'utf16le').toString('utf16le');
}
