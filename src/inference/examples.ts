import type { Samples, TextTokenizer } from '../data/index.ts';
import { familyOf } from '../model/index.ts';
import type { FilledExample } from '../runs/index.ts';
import { predict } from './fill.ts';
import type { TrainedModel } from './trained-model.ts';

const numExamples = 3;
const [longest, firstGap, gapEvery] = [32, 4, 5];

/**
 * A model's guesses for gaps in the first held-out texts: a BERT sees all gaps masked, a GPT predicts each from the words before
 * it. The texts and gaps of a run are always the same.
 */
export function fillExamples(trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>, samples: Samples) {
  return Array.from({ length: Math.min(numExamples, samples.count) }, (_, sample): FilledExample => {
    const ids = samples.read({ seed: 0, epoch: 0, sample }).ids.slice(0, longest);
    return fillGaps(trained, ids, gapsOf(ids, trained.tokenizer));
  });
}

/** Whole words, some tokens apart. */
function gapsOf(ids: Int32Array, tokenizer: TextTokenizer): number[] {
  const { isContinuation } = tokenizer;
  const gaps: number[] = [];
  for (let i = firstGap; i < ids.length - 1; i++) {
    const isNear = i < (gaps.at(-1) ?? -gapEvery) + gapEvery;
    const isWhole = !isContinuation[ids[i]!] && !isContinuation[ids[i + 1]!];
    if (!isNear && isWhole && /\p{L}/u.test(tokenizer.decode([ids[i]!]))) gaps.push(i);
  }
  return gaps;
}

function fillGaps(
  trained: Pick<TrainedModel, 'model' | 'tokenizer' | 'device'>,
  ids: Int32Array,
  gaps: readonly number[],
): FilledExample {
  const { tokenizer, model } = trained;
  const { isCausal } = familyOf(model.config);
  const read = isCausal ? ids : ids.map((id, i) => (gaps.includes(i) ? tokenizer.maskId : id));
  const positions = Int32Array.from(gaps, (gap) => (isCausal ? gap - 1 : gap));
  const predictions = gaps.length > 0 ? predict(trained, read, positions, 1) : [];
  const text = (some: Int32Array) => tokenizer.decode(some).trim();
  return {
    parts: [...gaps, ids.length].map((end, i) => text(ids.subarray(i === 0 ? 0 : gaps[i - 1]! + 1, end))),
    gaps: gaps.map((gap, i) => {
      const [best] = predictions[i]!;
      return {
        right: text(ids.subarray(gap, gap + 1)),
        guess: text(Int32Array.of(best!.id)),
        probability: best!.probability,
      };
    }),
  };
}
