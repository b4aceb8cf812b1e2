import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { glob } from 'tinyglobby';
import { markdownText } from '../data/markdown.ts';

const notProse = ['**/{CHANGE,CHANGELOG,CHANGES,HISTORY,LICENCE,LICENSE}*', '**/CODE_OF_CONDUCT*'];
const minWords = 100;
const commonWords = new Set(['a', 'and', 'for', 'in', 'is', 'of', 'that', 'the', 'to', 'with', 'you']);
/** English prose has about 0.25 of them, a list of options 0.15, another language next to none. */
const minCommonShare = 0.1;

/**
 * English Markdown that every machine with npm has: npm's own manual (`npmScript` is the npm-cli.js that runs this), or
 * where it is not there the documentation of the installed packages. Changelogs, licences and translations are left out.
 */
export async function englishMarkdown(project: string, npmScript: string | undefined): Promise<string[]> {
  const manual = npmScript === undefined ? undefined : join(dirname(npmScript), '../docs/content');
  const fromManual = manual !== undefined && existsSync(manual) ? await englishIn(manual) : [];
  return fromManual.length > 0 ? fromManual : englishIn(join(project, 'node_modules'));
}

async function englishIn(cwd: string): Promise<string[]> {
  const found = await glob('**/*.md', { cwd, absolute: true, caseSensitiveMatch: false, ignore: notProse });
  return found.sort().filter(isEnglishProse);
}

function isEnglishProse(path: string): boolean {
  const words =
    markdownText(readFileSync(path, 'utf8'))
      .toLowerCase()
      .match(/\p{L}+/gu) ?? [];
  const common = words.filter((word) => commonWords.has(word)).length;
  return words.length >= minWords && common / words.length >= minCommonShare;
}

/** The first sentence of a text that is neither short nor long, its longest word masked; undefined where there is none. */
export function maskedSentence(text: string): string | undefined {
  const sentence = /\p{Lu}[^.!?\n"]{30,120}[.!?]/u.exec(text)?.[0];
  const [longest] = (sentence?.match(/\p{Ll}+/gu) ?? []).sort((a, b) => b.length - a.length);
  return longest && sentence?.replace(longest, '[MASK]');
}
