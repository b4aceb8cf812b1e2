import { unspaced } from '../data/tokenizer-json.ts';
import type { Gap } from '../runs/index.ts';

/** Texts are searched up to this many characters, which takes seconds. */
const mostCharacters = 64e6;
const closing = '["\'”’»)\\]]';

/**
 * Gaps with their sentences as the texts have them: tokenizers lose capitals, accents and spaces. A sentence that is not found keeps
 * its form. It ends where its paragraph does.
 */
export async function asWritten(gaps: readonly Gap[], texts: AsyncIterable<string>): Promise<Gap[]> {
  const found = [...gaps];
  const wanted = new Map(gaps.map((gap, i) => [i, patternOf(gap)]));
  let left = mostCharacters;
  for await (const part of texts) {
    const text = part.normalize('NFD');
    for (const [i, pattern] of wanted) {
      const [, before, right, after] = pattern.exec(text) ?? [];
      if (before === undefined) continue;
      found[i] = inSentence(gaps[i]!, {
        before: oneLine(before.split(/\n\s*\n/).at(-1)!).replace(new RegExp(`^(?:${closing}+ | )`), ''),
        right: right!.normalize('NFC'),
        after: oneLine(after!.split(/\n\s*\n/)[0]!),
      });
      wanted.delete(i);
    }
    left -= part.length;
    if (wanted.size === 0 || left < 0) break;
  }
  return found;
}

/** A gap in its sentence as a text has it. A guess of the removed word is written as there, with the accents that it lost. */
export const inSentence = (gap: Gap, { before, right, after }: Omit<Gap, 'guesses'>): Gap => ({
  before,
  right,
  after,
  guesses: gap.guesses.map((guess) => (guess.text === gap.right ? { ...guess, text: right } : guess)),
});

const oneLine = (text: string) => text.normalize('NFC').replace(/\s+/g, ' ');

/** A letter of a script without spaces between words. */
const joined = new RegExp(`[${unspaced}\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}]`, 'u');

/** Finds the sentence of a gap in a text in Unicode's form NFD: the parts before, in and after the gap. */
function patternOf({ before, right, after }: Gap): RegExp {
  const begin = (word: string) => (joined.test(word.charAt(0)) ? '' : '(?<![\\p{L}\\p{N}])');
  const end = joined.test(right) ? '' : '(?![\\p{L}\\p{N}])';
  const parts = [
    `${begin(before || right)}(${spaced(before)}\\s*)`,
    `${begin(right)}(${spaced(right)})${end}`,
    `(\\s*${spaced(after)}${closing}*)`,
  ];
  return new RegExp(parts.join(''), 'iu');
}

/** The words and marks of a text with any white space after each, and any accents. */
function spaced(text: string): string {
  const words =
    text
      .normalize('NFD')
      .replace(/\p{M}/gu, '')
      .match(/[\p{L}\p{N}]+|\S/gu) ?? [];
  return words.map((word) => Array.from(word, (character) => `${escaped(character)}\\p{M}*`).join('')).join('\\s*');
}

const escaped = (character: string) => character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
