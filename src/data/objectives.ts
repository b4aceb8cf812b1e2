import { counted, DataError } from '../errors/index.ts';
import { type Mask, type MaskOptions, maskTokens, nextTokens } from './masking.ts';
import { type Packing, packedSamples, pairedSamples, type Samples } from './samples.ts';
import type { CorpusView } from './split.ts';
import type { TextTokenizer } from './tokenizer.ts';

/** A training objective, as `data.objective` names it. A new one is a line in `objectives`. */
export interface NamedObjective {
  /** The samples of a text, for sequences of T tokens. */
  samples(view: CorpusView, tokenizer: TextTokenizer, sequenceLength: number, packing: Packing): Samples;
  /** Which tokens of a sequence are predicted. */
  mask(tokenizer: TextTokenizer, options: MaskOptions): Mask;
  /** The number of predicted tokens in a full sequence of T tokens that is one document. */
  predicted(sequenceLength: number, maskRate: number): number;
  /** The name of its token loss in metrics. */
  loss: 'mlm' | 'clm';
  /** What it predicts, in words. */
  predictedToken: string;
  /** Whether tokens are masked. */
  masks: boolean;
  /** Whether a sequence is a pair with a next-sentence label. */
  hasPairs: boolean;
}

const masking = (numBorders: number) => ({
  mask: maskTokens,
  predicted: (T: number, maskRate: number) => Math.max(1, Math.round(maskRate * (T - numBorders))),
  loss: 'mlm' as const,
  predictedToken: 'masked token',
  masks: true,
});

/** BERT's masked tokens with next-sentence prediction, only masked tokens on packed text, or GPT's next tokens on packed text. */
export const objectives = {
  'mlm+nsp': { ...masking(3), samples: pairedSamples, hasPairs: true },
  mlm: {
    ...masking(2),
    samples: (view, tokenizer, T, packing) => packedSamples(view, tokenizer, T, { hasBorders: true, packing }),
    hasPairs: false,
  },
  clm: {
    mask: () => nextTokens,
    predicted: (T) => T - 1,
    loss: 'clm',
    predictedToken: 'token',
    masks: false,
    samples: (view, tokenizer, T, packing) => packedSamples(view, tokenizer, T, { hasBorders: false, packing }),
    hasPairs: false,
  },
} satisfies Record<string, NamedObjective>;

/** A name that `data.objective` takes. */
export type Objective = keyof typeof objectives;

/** How a text is made into samples. */
export interface SampleOptions {
  tokenizer: TextTokenizer;
  sequenceLength: number;
  objective: Objective;
  /** Default: `none`, which is the only one for pairs. */
  packing?: Packing;
}

/**
 * The samples of a view for sequences of T tokens; it stores numbers per document, none per sample.
 *
 * @throws DataError if the text does not fill one sequence.
 */
export function samplesOf(
  view: CorpusView,
  { tokenizer, sequenceLength, objective, packing = 'none' }: SampleOptions,
): Samples {
  if (view.tokens < sequenceLength) {
    throw new DataError(
      `data: the text has ${counted(view.tokens, 'token')}, which is less than one sequence of ${sequenceLength}; ` +
        'give more text, or lower data.sequenceLength',
    );
  }
  return objectives[objective].samples(view, tokenizer, sequenceLength, packing);
}

/** The mask of the objective: which tokens of a sequence it predicts. */
export function makeMask(
  tokenizer: TextTokenizer,
  { objective, ...options }: MaskOptions & { objective: Objective },
): Mask {
  return objectives[objective].mask(tokenizer, options);
}
