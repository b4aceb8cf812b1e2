import { ConfigError } from '../../errors/index.ts';
import { type EmbeddingHead, embeddings, unitRows } from '../../model/index.ts';
import { Tensor } from '../../tensor/index.ts';
import { predictionsTsv } from '../labels/predictions.ts';
import { pearson, spearman } from '../metrics.ts';
import { encodeTexts } from '../sequences.ts';
import type { Kind, Task } from '../task.ts';
import type { EncodedPair, PairExample } from './example.ts';
import { retrieval } from './retrieval.ts';

// Legend: N examples of k texts each, M = N·k rows, D width.

/** A task that embeds texts: those that belong together get similar vectors. */
export type PairTask = Task<PairExample, EncodedPair, Float32Array[]>;

/** What embeddings learn from. */
export interface PairSettings {
  /** Cosines are divided by it before the softmax over all texts of a batch. */
  temperature: number;
  /** Whether the training set has similarity scores; without them, the other texts of a batch are the negatives. */
  isScored: boolean;
}

/** The scale of cosine differences in the loss of scored pairs, as in CoSENT. */
const cosentScale = 20;
/** Added to the logits that must not count. */
const never = -1e9;

/**
 * Texts embedded by pooling the hidden states of their tokens. They are learned from pairs, each against all others of its batch,
 * or from scored pairs; a single text is paired with itself under two dropout masks.
 *
 * Sources: Henderson et al. 2017 (arXiv 1705.00652); Gao, Yao and Chen 2021 (SimCSE, arXiv 2104.08821); Su 2022 (CoSENT);
 * Kusupati et al. 2022 (Matryoshka, arXiv 2205.13147).
 */
export function pairKind(head: EmbeddingHead, settings: PairSettings): Kind<PairExample, EncodedPair, Float32Array[]> {
  const lossOf = settings.isScored ? scoredLoss : contrastiveLoss;
  return {
    head,
    judgedBy: ['spearman', 'ndcg@10'],
    checkSettings({ batchSize, dropout }, train) {
      if (batchSize < 2) {
        throw new ConfigError(
          `--batch-size ${batchSize}: embeddings are trained by comparing examples; give 2 or more`,
        );
      }
      if (dropout === 0 && train.length > 0 && train.every(({ texts }) => texts.length === 1)) {
        throw new ConfigError(
          '--dropout 0: --unsupervised learns from two dropout masks of each text; give a rate such as 0.1',
        );
      }
    },
    async encode(examples, tokenizer, maxLength) {
      const texts = examples.flatMap((example) => example.texts.map((text) => [text]));
      const sequences = await encodeTexts(texts, tokenizer, maxLength);
      let next = 0;
      return examples.map((example) => {
        const own = example.texts.map(() => sequences[next++]!);
        return { ...example, sequences: own.length === 1 ? [own[0]!, own[0]!] : own };
      });
    },
    isCut: ({ sequences }, maxLength) => sequences.some(({ ids }) => ids.length === maxLength),
    numOutputs: ({ sequences }) => sequences.length,
    outputs: (_, hidden_NTD, examples) => {
      const lengths = examples.flatMap(({ sequences }) => sequences.map(({ ids }) => ids.length));
      return embeddings(head, hidden_NTD, lengths);
    },
    loss(outputs_MD, examples) {
      const D = outputs_MD.shape[1]!;
      const long = head.dimensions.find((d) => d > D);
      if (long !== undefined)
        throw new ConfigError(`--dimensions ${long}: the model's vectors have ${D} dimensions; give ${D} or fewer`);
      const losses = [...head.dimensions, D].map((d) => {
        const vectors_MD = unitRows(d === D ? outputs_MD : outputs_MD.narrow(1, 0, d));
        return lossOf(vectors_MD, examples, settings);
      });
      return losses.reduce((sum, loss) => sum.add(loss)).mul(1 / losses.length);
    },
    predict(outputs, { sequences }) {
      const D = outputs.length / sequences.length;
      return sequences.map((_, i) => outputs.slice(i * D, (i + 1) * D));
    },
    hasTarget: () => true, // a text's partner is one
    scores(predictions, examples) {
      if (examples.every(({ score }) => score !== undefined)) {
        const [found, right] = [predictions.map(cosineOfPair), examples.map(({ score }) => score!)];
        return { spearman: spearman(found, right), pearson: pearson(found, right) };
      }
      return retrieval(
        predictions,
        examples.map(({ texts }) => texts),
      );
    },
    written: (predictions, _, read) => ({
      ending: '.tsv',
      text: predictionsTsv(
        predictions.map((vectors) => cosineOfPair(vectors).toFixed(6)),
        read.map(({ texts, score }) => ({ texts, label: score === undefined ? undefined : String(score) })),
      ),
    }),
  };
}

const cosineOfPair = ([a, b]: readonly Float32Array[]) => cosine(a!, b!);

/** `a·b / (‖a‖·‖b‖)` */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    ab += x * b[i]!;
    aa += x * x;
    bb += b[i]! * b[i]!;
  }
  return ab / Math.sqrt(aa * bb);
}

/** The rows at some indices. */
function rowsOf(x_MD: Tensor, rows: readonly number[]): Tensor {
  return x_MD.indexSelect(0, Tensor.from(BigInt64Array.from(rows, BigInt), [rows.length], { device: x_MD.device }));
}

/**
 * Cross-entropy of each example's second text among the second and third texts of all examples, with logits
 * `cos(a, ·)/temperature`. A text equal to the example's first or second one is not a negative.
 */
function contrastiveLoss(vectors_MD: Tensor, examples: readonly EncodedPair[], { temperature }: PairSettings): Tensor {
  const { device } = vectors_MD;
  const N = examples.length;
  const k = examples[0]!.sequences.length;
  const rowsAt = (place: number) => examples.map((_, i) => i * k + place);
  const textAt = ({ texts }: EncodedPair, place: number) => texts[Math.min(place, texts.length - 1)]!;
  const places = Array.from({ length: k - 1 }, (_, i) => i + 1);
  const candidates = places.flatMap((place) => examples.map((example) => textAt(example, place)));
  const mask = examples.flatMap((example, i) => {
    const own = [textAt(example, 0), textAt(example, 1)];
    return candidates.map((text, j) => (j !== i && own.includes(text) ? never : 0));
  });
  const cosines_NC = rowsOf(vectors_MD, rowsAt(0)).linear(rowsOf(vectors_MD, places.flatMap(rowsAt)));
  const logits_NC = cosines_NC
    .mul(1 / temperature)
    .add(Tensor.from(Float32Array.from(mask), [N, candidates.length], { device }));
  const right = Tensor.from(
    BigInt64Array.from(examples, (_, i) => BigInt(i)),
    [N],
    { device },
  );
  return logits_NC.crossEntropy(right, 'mean');
}

/** `log(1 + Σ exp(20·(cos_j − cos_i)))` over all i, j where pair i has the higher score. */
function scoredLoss(vectors_MD: Tensor, examples: readonly EncodedPair[]): Tensor {
  const { device } = vectors_MD;
  const N = examples.length;
  const rowsAt = (place: number) => examples.map((_, i) => 2 * i + place);
  const cosines_N = rowsOf(vectors_MD, rowsAt(0))
    .mul(rowsOf(vectors_MD, rowsAt(1)))
    .sum(1);
  const mask = examples.flatMap((a) => examples.map((b) => (a.score! > b.score! ? 0 : never)));
  const differences_NN = cosines_N
    .reshape([1, N])
    .add(cosines_N.reshape([N, 1]), -1)
    .mul(cosentScale);
  const exponents = differences_NN.add(Tensor.from(Float32Array.from(mask), [N, N], { device })).reshape([1, N * N]);
  const zero = Tensor.from(new Float32Array(1), [1, 1], { device });
  const first = Tensor.from(new BigInt64Array(1), [1], { device });
  // The cross-entropy of the 0 among them is the logarithm of the sum of all exponentials.
  return Tensor.cat([zero, exponents], 1).crossEntropy(first, 'mean');
}
