import { headsOf, type ModelConfig } from '../parameters.ts';

// What several families do not take, each with how to fix it.

/** The 256 bytes and the end of a text. */
const leastVocabulary = 257;

/** A vocabulary that has no room for every byte. */
export function byteMistakes({ kind, vocabSize }: ModelConfig): string[] {
  if (vocabSize >= leastVocabulary) return [];
  return [
    `model.vocabSize: ${vocabSize} is below ${leastVocabulary}, the bytes and the end of a text, which ${kind} needs`,
  ];
}

/** Norms behind the residual sums. */
export function preNormMistakes({ kind, norm }: ModelConfig): string[] {
  return norm === 'post'
    ? [`model.norm: post is not for model.kind ${kind}, whose blocks are PreLN; leave it out`]
    : [];
}

/** Heads that rotary positions cannot turn, or that do not go into groups. */
export function headMistakes(config: ModelConfig): string[] {
  const { kind, hiddenSize, heads } = config;
  const { keyValueHeads, headSize } = headsOf(config);
  return [
    ...(headSize % 2 === 1
      ? [
          `model.heads: ${heads} of ${hiddenSize} make heads of size ${headSize}, and the rotary positions of ${kind} turn pairs; ` +
            'give a number that makes their size even',
        ]
      : []),
    ...(heads % keyValueHeads !== 0
      ? [`model.keyValueHeads: ${keyValueHeads} does not divide model.heads ${heads}; give a number that does`]
      : []),
  ];
}
