import { mean } from '../../averages.ts';
import type { TextTokenizer } from '../../data/index.ts';
import type { LabelHead } from '../../model/index.ts';
import { Tensor } from '../../tensor/index.ts';
import { mostFrequent } from '../baseline.ts';
import { type LabelLearning, labelLoss } from '../cross-entropy.ts';
import type { Kind, Sequence, Task } from '../task.ts';
import { type Window, windowsOf } from '../windows.ts';
import { entitiesOf, entityScores, markEntities, outside } from './entities.ts';
import type { EncodedSentence, Sentence } from './example.ts';

/** A task whose words have a tag each. */
export type TagTask = Task<Sentence, EncodedSentence, string[]>;

/**
 * Words with one tag each, learned by cross-entropy from the hidden state of each word's first token. Sentences that are too long
 * are read in overlapping windows, each word in the window that shows more of its context.
 *
 * Source: Devlin et al. 2019, section 5.3, for the first token.
 */
export function tagKind(
  labels: readonly string[],
  learning: LabelLearning = { smoothing: 0 },
): Kind<Sentence, EncodedSentence, string[]> {
  const head: LabelHead = { kind: 'token', labels };
  const names = (tags: readonly number[]) => tags.map((tag) => labels[tag]!);
  const rightOf = (examples: readonly EncodedSentence[]) => examples.map(({ tags }) => names(tags!));
  const hasEntities = markEntities(labels);
  return {
    head,
    judgedBy: ['f1', 'accuracy'],
    encode: (sentences, tokenizer, maxLength) => encodeSentences(sentences, tokenizer, maxLength),
    numOutputs: ({ reads }) => reads.filter((read) => read !== undefined).length,
    outputs(model, hidden_NTD, examples, pass) {
      const [, T, D] = hidden_NTD.shape as [number, number, number];
      const positions: number[] = [];
      let row = 0;
      for (const { sequences, reads } of examples) {
        for (const read of reads) if (read) positions.push((row + read.window) * T + read.position);
        row += sequences.length;
      }
      const index = Tensor.from(BigInt64Array.from(positions, BigInt), [positions.length], {
        device: hidden_NTD.device,
      });
      const hidden_MD = hidden_NTD.reshape([-1, D]).indexSelect(0, index);
      return model.tokenClassLogits!(hidden_MD, pass).to('float32');
    },
    loss(logits_MC, examples) {
      const targets = examples.flatMap(({ tags, reads }) => tags!.filter((_, i) => reads[i] !== undefined));
      return labelLoss(logits_MC, targets, learning);
    },
    predict(logits, { reads }) {
      let row = 0;
      return reads.map((read) => {
        if (!read) return labels.includes(outside) ? outside : labels[0]!;
        const own = logits.subarray(row * labels.length, (row + 1) * labels.length);
        row += 1;
        return labels[own.indexOf(Math.max(...own))]!;
      });
    },
    baselines(train) {
      const tag = labels[mostFrequent(train.flatMap(({ tags }) => tags!))]!;
      return [{ name: `always "${tag}"`, predict: ({ words }) => words.map(() => tag) }];
    },
    hasTarget: ({ tags }) => tags !== undefined,
    scores(predictions, examples) {
      const right = rightOf(examples).flat();
      const accuracy = mean(predictions.flat().map((tag, i) => Number(tag === right[i])));
      return hasEntities ? { ...entityScores(predictions, rightOf(examples)).all, accuracy } : { accuracy };
    },
    ...(hasEntities && {
      details(predictions: readonly string[][], examples: readonly EncodedSentence[]) {
        const { types } = entityScores(predictions, rightOf(examples));
        const rows = Object.entries(types).map(([type, { precision, recall, f1, support }]) => [
          type,
          ...[precision, recall, f1].map((score) => `${(100 * score!).toFixed(1)} %`),
          String(support),
        ]);
        return { name: 'entities', json: types, rows: [['type', 'precision', 'recall', 'f1', 'support'], ...rows] };
      },
    }),
    written(predictions, examples) {
      if (examples.every(({ form }) => form === 'columns'))
        return { ending: '.conll', text: examples.map((example, i) => conll(example, predictions[i]!)).join('\n') };
      const lines = examples.map((example, i) => tagged(example, predictions[i]!));
      return { ending: '.jsonl', text: lines.map((line) => `${JSON.stringify(line)}\n`).join('') };
    },
  };
}

const conll = ({ words }: Sentence, tags: readonly string[]) =>
  words.map((word, i) => `${word}\t${tags[i]}\n`).join('');

/** A sentence with its tags, as in JSON lines. */
export type TaggedText =
  | { tokens: readonly string[]; tags: readonly string[] }
  | { text: string; spans: { start: number; end: number; label: string }[] };

export const tagged = (sentence: Sentence, tags: readonly string[]): TaggedText =>
  sentence.form === 'spans' ? spansOf(sentence, tags) : { tokens: sentence.words, tags };

/** A text with the spans of the entities in it. */
function spansOf({ text, places }: Sentence, tags: readonly string[]) {
  const spans = entitiesOf(tags).map(({ type, start, end }) => ({
    start: places![start]![0],
    end: places![end]![1],
    label: type,
  }));
  return { text: text!, spans };
}

async function encodeSentences(
  sentences: readonly Sentence[],
  tokenizer: TextTokenizer,
  maxLength: number,
): Promise<EncodedSentence[]> {
  const different = [...new Set(sentences.flatMap(({ words }) => words))];
  // Byte-level tokens distinguish words after a space from others.
  const encoded = await tokenizer.encodeBatch(different.map((word) => (tokenizer.isByteLevel ? ` ${word}` : word)));
  const tokensOf = new Map(different.map((word, i) => [word, encoded[i]!]));
  const room = maxLength - 2;
  return sentences.map((sentence) => {
    const tokens = sentence.words.map((word) => tokensOf.get(word)!.subarray(0, room));
    const windows = windowsOf(
      tokens.map(({ length }) => length),
      room,
    );
    const sequences = windows.map(({ first, end }): Sequence => {
      const inner = tokens.slice(first, end).flatMap((own) => [...own]);
      const ids = Int32Array.from([tokenizer.clsId, ...inner, tokenizer.sepId]);
      return { ids, secondStart: ids.length };
    });
    return { ...sentence, sequences, reads: readsOf(tokens, windows) };
  });
}

/** Where each word is read: in the window with more tokens on the word's shorter side. */
function readsOf(tokens: readonly Int32Array[], windows: readonly Window[]): EncodedSentence['reads'] {
  const reads: ((EncodedSentence['reads'][number] & { context: number }) | undefined)[] = tokens.map(() => undefined);
  for (const [window, { first, end }] of windows.entries()) {
    const total = tokens.slice(first, end).reduce((sum, { length }) => sum + length, 0);
    let position = 1;
    for (let word = first; word < end; word++) {
      const { length } = tokens[word]!;
      const isFirst = first === 0;
      const isLast = end === tokens.length;
      const before = isFirst ? total : position - 1;
      const behind = isLast ? total : total - (position - 1) - length;
      const context = Math.min(before, behind);
      if (length > 0 && context > (reads[word]?.context ?? -1)) reads[word] = { window, position, context };
      position += length;
    }
  }
  return reads.map((read) => read && { window: read.window, position: read.position });
}
