import { basename } from 'node:path';
import { DataError } from '../../errors/index.ts';
import { readTestSet } from '../cells.ts';
import { balancedWeights, type LabelOptions } from '../cross-entropy.ts';
import { holdOut } from '../hold-out.ts';
import { labelIn } from '../labels/class-labels.ts';
import { outside } from './entities.ts';
import type { Sentence } from './example.ts';
import { type TagTask, tagKind } from './kind.ts';
import { type RawSentence, readSentences, type TagColumns } from './read.ts';

/**
 * Opens sentences whose words are tagged. The tags are those of the training set. Without a development set, a tenth of the
 * training set is held out as one.
 *
 * @throws DataError if a file is missing or broken, or a tag is not in the training set.
 */
export async function openTagTask(
  files: { train: string; dev?: string | undefined; test?: string | undefined },
  columns: TagColumns,
  warn: (message: string) => void,
  { smoothing = 0, isBalanced = false }: LabelOptions = {},
): Promise<TagTask> {
  const read = async (path: string, isTagged = true) =>
    withoutLanguage(path, await readSentences(path, columns, isTagged), warn);
  const train = await read(files.train);
  const found = [...new Set(train.flatMap(({ tags }) => tags))].sort();
  if (found.length < 2) {
    throw new DataError(
      `${files.train}: every word has the tag ${found[0]}; give words with at least two different tags`,
    );
  }
  // The tag outside entities comes first, so that its index is 0.
  const labels = [...found.filter((tag) => tag === outside), ...found.filter((tag) => tag !== outside)];
  const numberOf = labelIn(labels);
  const tagged = ({ where, tags, ...sentence }: RawSentence): Sentence => ({
    ...sentence,
    tags: tags.map((tag) => numberOf(tag, where)),
  });
  const all = train.map(tagged);
  const weights = balancedWeights(
    labels.length,
    all.flatMap(({ tags }) => tags!),
  );
  const given = files.dev === undefined ? undefined : (await read(files.dev)).map(tagged);
  const parts = given ? { train: all, dev: given } : holdOut(all, files.train, { textsOf: ({ words }) => words });
  const testSet = (path: string) =>
    readTestSet(
      true,
      async (isTagged) => {
        const sentences = await read(path, isTagged);
        return isTagged ? sentences.map(tagged) : sentences.map(({ where: _, tags: __, ...sentence }) => sentence);
      },
      warn,
    );
  return {
    name: basename(files.train),
    kind: tagKind(labels, { smoothing, ...(isBalanced && { weights }) }),
    train: { name: 'train', examples: parts.train },
    devs: [{ name: 'dev', examples: parts.dev }],
    tests: files.test === undefined ? [] : [{ name: 'test', examples: await testSet(files.test) }],
    isHeldOut: given === undefined,
  };
}

/** Words without the language prefix that some files give each word: `en:London`. */
function withoutLanguage(path: string, sentences: RawSentence[], warn: (message: string) => void): RawSentence[] {
  const languageOf = (word: string) => /^[a-z]{2,3}(-[A-Za-z]+)?:(?=.)/.exec(word)?.[0];
  const found = new Set(sentences.flatMap(({ words }) => words.map(languageOf)));
  if (found.has(undefined)) return sentences;
  const languages = [...found] as string[];
  warn(
    `${path}: every word begins with ${languages.map((language) => `"${language}"`).join(' or ')}, which is removed`,
  );
  return sentences.map((sentence) => ({
    ...sentence,
    words: sentence.words.map((word) => word.slice(languageOf(word)!.length)),
  }));
}
