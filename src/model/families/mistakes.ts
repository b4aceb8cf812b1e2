import { headsOf, type ModelConfig } from '../parameters.ts';

// What several families do not support, each with how to fix it.

/** The 256 bytes and the end of a text. */
const leastVocabulary = 257;

/** The error for a vocabulary without room for every byte. */
export function byteMistakes({ kind, vocabSize }: ModelConfig): string[] {
  if (vocabSize >= leastVocabulary) return [];
  return [
    `model.vocabSize: ${vocabSize} is below ${leastVocabulary}: ${kind} needs a token for each byte and one for the end of a text; set it to ${leastVocabulary} or more`,
  ];
}

/** The error for norms after the residual sums. */
export function preNormMistakes({ kind, norm }: ModelConfig): string[] {
  return norm === 'post'
    ? [`model.norm: post is not supported by model.kind ${kind}, whose blocks are PreLN; leave it out`]
    : [];
}

/** The errors for heads that rotary positions cannot rotate, or that cannot be grouped. */
export function headMistakes(config: ModelConfig): string[] {
  const { kind, hiddenSize, heads } = config;
  const { keyValueHeads, headSize } = headsOf(config);
  return [
    ...(headSize % 2 === 1
      ? [
          `model.heads: ${heads} for hidden size ${hiddenSize} gives heads of size ${headSize}, but the rotary positions of ${kind} need an even size; ` +
            'choose a number that makes it even',
        ]
      : []),
    ...(heads % keyValueHeads !== 0
      ? [`model.keyValueHeads: ${keyValueHeads} does not divide model.heads ${heads}; use a divisor of it`]
      : []),
  ];
}
