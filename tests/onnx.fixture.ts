import { type InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { TokenBatch } from '../src/data/index.ts';

export const int64 = (values: ArrayLike<number>, shape: readonly number[]): OrtTensor =>
  new OrtTensor('int64', BigInt64Array.from(Array.from(values, BigInt)), shape);

/** Keys and values of no tokens, which a decoder's graph begins with; nothing for an encoder's. */
export function emptyPast(session: InferenceSession, numSequences: number): Record<string, OrtTensor> {
  return Object.fromEntries(
    session.inputMetadata.flatMap((input) => {
      if (!input.isTensor || !input.name.startsWith('past_key_values')) return [];
      const [, heads, , size] = input.shape as number[];
      const none = input.type === 'float16' ? new Uint16Array(0) : new Float32Array(0);
      const shape = [numSequences, heads!, 0, size!];
      return [[input.name, new OrtTensor(input.type as 'float32', none as Float32Array, shape)]];
    }),
  );
}

/** What a graph reads of a batch whose sequences end in padding. */
export function feedsOf(session: InferenceSession, batch: TokenBatch): Record<string, OrtTensor> {
  const { numSequences: N, sequenceLength: T, inputIds, tokenTypeIds, documents } = batch;
  const perToken = (of: (t: number, n: number) => number) =>
    int64(
      Array.from({ length: N * T }, (_, i) => of(i % T, Math.floor(i / T))),
      [N, T],
    );
  const known: Record<string, OrtTensor> = {
    input_ids: int64(inputIds, [N, T]),
    attention_mask: perToken((t, n) => (t < documents[n]![0]! ? 1 : 0)),
    token_type_ids: int64(tokenTypeIds, [N, T]),
    position_ids: perToken((t) => t),
    num_logits_to_keep: int64([0], []),
    ...emptyPast(session, N),
  };
  return Object.fromEntries(session.inputNames.map((name) => [name, known[name]!]));
}
