import type { MicroBatch, TextTokenizer } from '../data/index.ts';
import type { Transformer } from '../model/index.ts';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.ts';
import { modelInputs } from './objective.ts';

/** More of a sequence nobody reads, and the logits of each token are as many as the vocabulary has pieces. */
const maxTokens = 128;

/**
 * The beginning of a batch's first sequence as Markdown, piece by piece. A piece that the model had to find is bold where it
 * did; where not, what it found instead stands behind in italics. Every block is on.
 */
export function sampleText(model: Transformer, batch: MicroBatch, tokenizer: TextTokenizer, device: Device): string {
  const ids = batch.inputIds.subarray(0, batch.lengths[0]);
  const shown = Array.from(ids.subarray(0, maxTokens), (id) => textOf(tokenizer, id));
  const positions = batch.predictedPositions.filter((position) => position < shown.length);
  const found = likeliest(model, batch, positions, tokenizer.vocabSize, device);
  const ahead = model.config.kind === 'gpt2' ? 1 : 0; // where the piece is that a position has to find
  for (const [i, position] of positions.entries()) {
    const label = batch.labels[i]!;
    const right = textOf(tokenizer, label);
    shown[position + ahead] = found[i] === label ? `**${right}**` : `${right} (*${textOf(tokenizer, found[i]!)}*)`;
  }
  return shown.join(' ');
}

/** The piece with the largest logit at each of some positions of the first sequence. */
function likeliest(
  model: Transformer,
  { inputIds, tokenTypeIds, lengths }: MicroBatch,
  positions: Int32Array,
  vocabSize: number,
  device: Device,
): number[] {
  const length = lengths[0]!;
  const sequence = {
    numSequences: 1,
    sequenceLength: length,
    inputIds: inputIds.subarray(0, length),
    tokenTypeIds: tokenTypeIds.subarray(0, length),
    lengths: Int32Array.of(length),
  };
  return scope(() =>
    noGrad(() => {
      const hidden = model.encode(modelInputs(sequence, device));
      const at = Tensor.from(positions, [positions.length], { device }).to('int64');
      // A vocabulary may be padded with numbers that stand for no piece.
      const logits = model.tokenLogits(hidden, at).narrow(1, 0, vocabSize);
      return Array.from(logits.argmax(-1).toArray(), Number);
    }),
  );
}

/** What Markdown would take for its own is written as a number; special tokens, and numbers without a piece, are a dot. */
function textOf(tokenizer: TextTokenizer, id: number): string {
  const text = tokenizer.decode([id]).trim() || '·';
  return text.replace(/[\\`*_{}[\]()#+\-!|<>&~]/g, (character) => `&#${character.charCodeAt(0)};`);
}
