import type { Config } from '../config/index.ts';
import { type CorpusIndex, type Samples, unknownShare } from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';

/** A larger share of a text's characters as [UNK] gives a warning. */
const maxUnknownShare = 0.01;
/** The smallest vocabulary recommended for a text whose characters do not fit into a smaller one. */
const roomyVocabulary = 8192;

/** Refuses a text that the tokenizer was not made for: nothing could be learnt from it. */
export function checkKnown(samples: Samples, { data, model, train }: Config): void {
  const { tokenizer } = samples;
  const tokens = Array.from({ length: Math.min(samples.count, 100) }, (_, i) => {
    return [...samples.read(samples.at(i, 0)).ids];
  }).flat();
  const unknown = tokens.filter((id) => id === tokenizer.unkId).length / tokens.length;
  if (unknown <= 0.5) return;
  const known = `knows only ${Math.round(100 * (1 - unknown))} % of the text's tokens`;
  if (train.from !== undefined) {
    throw new DataError(
      `train.from: ${train.from} has a tokenizer that ${known}; give text like its training text, or start without --from`,
    );
  }
  if (data.tokenizer !== undefined)
    throw new DataError(`data.tokenizer: ${known}; leave it out to train one on this text`);
  throw new DataError(
    `model.vocabSize: a tokenizer of ${model.vocabSize} tokens, trained on this text, ${known}; raise it, to 30,000 for most scripts`,
  );
}

/** The share of a text that becomes [UNK], in words. */
export function unknownText(index: Pick<CorpusIndex, 'characters' | 'unknownCharacters'>): string {
  const percent = 100 * unknownShare(index);
  return `${Number(percent.toPrecision(2))} % of the characters`;
}

/** Warns if more than 1 % of a text's characters are [UNK], with advice. */
export function warnOfUnknown(index: CorpusIndex, advice: string, warn: (message: string) => void): void {
  if (unknownShare(index) <= maxUnknownShare) return;
  warn(`${unknownText(index)} become [UNK], because the vocabulary cannot represent them; ${advice}`);
}

/** Advice for a vocabulary that cannot represent a text; a resumed run keeps its own. */
export function vocabularyAdvice({ data, model, train }: Config, isResumed = false): string {
  if (train.from !== undefined) {
    return `the tokenizer of ${train.from} was not made for this text; start without --from to train one on it`;
  }
  if (data.tokenizer !== undefined) {
    return `${data.tokenizer} was not made for this text; leave data.tokenizer out to train one on it`;
  }
  const larger = Math.max(roomyVocabulary, 2 * model.vocabSize);
  const setting = `--set model.vocabSize=${larger}`;
  if (isResumed) return `a run keeps its tokenizer; start a new run with ${setting} to train a better one on this text`;
  return `${counted(model.vocabSize, 'token')} are too few for its characters; add ${setting}`;
}
