const spaces = /[ \t\n\r]+/;
const hanzi = /[\u3400-\u4dbf\u4e00-\u9fff]/;
const hanziOrRun = /[\u3400-\u4dbf\u4e00-\u9fff]|[^ \t\n\r\u3400-\u4dbf\u4e00-\u9fff]+/g;
// A run of letters without a limit overflows the stack of the pattern.
const gptWord = /'(?:[sdmt]|ll|ve|re)| ?\p{L}{1,100000}| ?\p{N}{1,100000}| ?[^\s\p{L}\p{N}]{1,100000}|\s+(?!\S)|\s+/gu;
const stretch = /.{1,10000}/gsu;
const maxStretch = 10_000;
const beforeOneSpace = /(?<=[^\s\u0085])(?= [^\s\u0085])/u;

/** The runs between white space; BERT's tokenizer never looks past it. */
export function splitAtSpaces(text: string): string[] {
  return text.split(spaces);
}

/** The runs between white space and Chinese characters, and each of these, which BERT's tokenizer takes one by one. */
export function splitAtHanzi(text: string): string[] {
  return hanzi.test(text) ? (text.match(hanziOrRun) ?? []) : splitAtSpaces(text);
}

/**
 * The words of GPT-2, each with the space before it: its tokenizer never looks past one. A word of more than 100,000
 * characters comes in several.
 * Source: the pattern of openai/gpt-2's encoder.py.
 */
export function gptWords(text: string): string[] {
  return text.match(gptWord) ?? [];
}

/** A word, or its parts of 10,000 characters: whole lines without a space would take memory many times their size. */
export function stretchesOf(word: string): string[] {
  return word.length > maxStretch ? word.match(stretch)! : [word];
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

/** The number of characters (code points) of a text that are no white space or control characters. */
export function countCharacters(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isSecondHalf = unit >= 0xdc00 && unit <= 0xdfff;
    if (unit > 0x20 && !isSecondHalf) count++;
  }
  return count;
}
