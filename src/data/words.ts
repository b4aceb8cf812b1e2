// cspell:ignore sdmt
// A run of letters without a limit overflows the stack of the regular expression.
const gptWord = /'(?:[sdmt]|ll|ve|re)| ?\p{L}{1,100000}| ?\p{N}{1,100000}| ?[^\s\p{L}\p{N}]{1,100000}|\s+(?!\S)|\s+/gu;
const stretch = /.{1,10000}/gsu;
const maxStretch = 10_000;

/** The UTF-16 units of a text. */
export function unitsOf(text: string): Uint16Array {
  const { buffer, byteOffset, length } = Buffer.from(text, 'utf16le');
  return new Uint16Array(buffer, byteOffset, length / 2);
}

/** Splits a text, given as UTF-16 units, and passes on where each word begins and ends. */
export type Splitter = (units: Uint16Array, take: (start: number, end: number) => void) => void;

const hanzi = /[\u3400-\u4dbf\u4e00-\u9fff]/;
/** All of ASCII except the underscore, which counts as a letter in the search for added tokens; then dashes and quotation marks. */
const punctuation = /[!-/:-@[-^`{-~\u2010-\u2027]/;

/** How BERT's tokenizer classifies a unit. */
const [inWord, between, alone] = [0, 1, 2];

/**
 * Splits where BERT's tokenizer does: at white space, and on both sides of punctuation that is not in `joined` and, with
 * `isHanzi`, of Chinese characters.
 */
export function bertSplitter({ isHanzi, joined = '' }: { isHanzi: boolean; joined?: string }): Splitter {
  const isAlone = (unit: string) => (punctuation.test(unit) && !joined.includes(unit)) || (isHanzi && hanzi.test(unit));
  const classes = classesOf((unit) => (/[ \t\n\r]/.test(unit) ? between : isAlone(unit) ? alone : inWord));
  return (units, take) => {
    let start = 0;
    for (let i = 0; i < units.length; i++) {
      const kind = classes[units[i]!]!;
      if (kind === inWord) continue;
      if (i > start) take(start, i);
      if (kind === alone) take(i, i + 1);
      start = i + 1;
    }
    if (units.length > start) take(start, units.length);
  };
}

/** How the patterns of GPT-2 and the like classify a unit; from `space` on it is white space. */
const [other, letter, mark, apostrophe, space, line, oddSpace] = [0, 1, 2, 3, 4, 5, 6];

/**
 * Splits where GPT-2's pattern begins a word in any context: before white space after a word, after a single line feed or tab,
 * and between ASCII letters and punctuation, but not after an apostrophe. Which other characters are letters differs between
 * versions of Unicode, and so between the tokenizers library and JavaScript; which are spaces does not. No character is
 * normalised together with one after a split. `joinsMarks` is for the patterns of Llama 3 and Qwen: there, punctuation forms one
 * word with the letters after it or with line feeds, and a tab with letters.
 */
export function gptSplitter({ joinsMarks }: { joinsMarks: boolean }): Splitter {
  const classes = classesOf((unit) => {
    if (unit === ' ') return space;
    if (/[\n\r]/.test(unit) || (unit === '\t' && !joinsMarks)) return line;
    if (/[\s\u0085]/.test(unit)) return oddSpace;
    if (/[a-z0-9]/i.test(unit)) return letter;
    if (unit === "'") return apostrophe;
    return punctuation.test(unit) ? mark : other;
  });
  const cuts = (before: number, kind: number, isOneLine: boolean): boolean => {
    if (kind === space) return before < space;
    if (kind === line) return joinsMarks ? before === letter : before < space;
    if (kind === oddSpace) return false;
    if (before === line) return isOneLine;
    if (before === letter) return kind === mark || kind === apostrophe;
    return before === mark && kind === letter && !joinsMarks;
  };
  return (units, take) => {
    let start = 0;
    let before = oddSpace;
    for (let i = 0; i < units.length; i++) {
      const kind = classes[units[i]!]!;
      if (cuts(before, kind, start === i - 1) && i > start) {
        take(start, i);
        start = i;
      }
      before = kind;
    }
    if (units.length > start) take(start, units.length);
  };
}

/** [65,536] A number for each UTF-16 unit. */
function classesOf(classOf: (unit: string) => number): Uint8Array {
  return Uint8Array.from({ length: 1 << 16 }, (_, unit) => classOf(String.fromCharCode(unit)));
}

/** The words of a text. */
export function wordsOf(text: string, split: Splitter): string[] {
  const words: string[] = [];
  split(unitsOf(text), (start, end) => words.push(text.slice(start, end)));
  return words;
}

/**
 * The words of GPT-2, each with the space before it: its tokenizer never looks past one. A word of more than 100,000 characters
 * is returned as several.
 * Source: the pattern of openai/gpt-2's encoder.py.
 */
export function gptWords(text: string): string[] {
  return text.match(gptWord) ?? [];
}

/** A word, or its parts of 10,000 characters: whole lines without a space would take memory many times their size. */
export function stretchesOf(word: string): string[] {
  return word.length > maxStretch ? word.match(stretch)! : [word];
}

/** A copy of a string that is part of a larger one: the part itself would keep the whole string in memory. */
export function ownCopy(part: string): string {
  return Buffer.from(part, 'utf16le').toString('utf16le');
}

/** The number of characters (code points) of a text that are neither white space nor control characters. */
export function countCharacters(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isSecondHalf = unit >= 0xdc00 && unit <= 0xdfff;
    if (unit > 0x20 && !isSecondHalf) count++;
  }
  return count;
}
