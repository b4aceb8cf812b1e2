import { linearSpecs, type ParameterSpec } from './parameters.ts';

/** What stands on a fine-tuned model in place of its pre-training heads. */
export type Head = LabelHead | EmbeddingHead;

/** A linear layer with an output for each label. */
export interface LabelHead {
  /**
   * `single-label` picks one label of a text, `multi-label` any number of them, `token` one for each token; a `regression` has
   * one label, whose value it gives.
   */
  kind: 'single-label' | 'multi-label' | 'regression' | 'token';
  labels: readonly string[];
  /** Of several labels: from which probability on each is predicted. */
  thresholds?: readonly number[];
}

/** No parameters: hidden states become one vector for each text. */
export interface EmbeddingHead {
  kind: 'embedding';
  /** The mean over the tokens of a text, [CLS] and [SEP] included, or the state of the first token. */
  pooling: 'mean' | 'first';
  /** Whether a vector is scaled to length 1. */
  normalized: boolean;
  /** How many of its first numbers are a vector of their own, beside all of them: Matryoshka's (arXiv 2205.13147). */
  dimensions: readonly number[];
}

/** What a model does that was not fine-tuned for embeddings: what most libraries do where nothing is said. */
export const plainEmbedding: EmbeddingHead = { kind: 'embedding', pooling: 'mean', normalized: true, dimensions: [] };

/** What Hugging Face calls a kind of head. */
export interface NamedHead {
  /** What its classes end in, behind the name of the family. */
  architecture: 'ForSequenceClassification' | 'ForTokenClassification' | 'Model';
  /** `problem_type` of `config.json`. */
  problem?: string;
  /** The pipeline of transformers that a model with it is for. */
  pipeline: string;
}

/** The kinds of heads, by what `Head.kind` names. */
export const headKinds: Record<Head['kind'], NamedHead> = {
  'single-label': {
    architecture: 'ForSequenceClassification',
    problem: 'single_label_classification',
    pipeline: 'text-classification',
  },
  'multi-label': {
    architecture: 'ForSequenceClassification',
    problem: 'multi_label_classification',
    pipeline: 'text-classification',
  },
  regression: { architecture: 'ForSequenceClassification', problem: 'regression', pipeline: 'text-classification' },
  token: { architecture: 'ForTokenClassification', pipeline: 'token-classification' },
  embedding: { architecture: 'Model', pipeline: 'sentence-similarity' },
};

/** The parameters of a head over hidden states of width D, under Hugging Face's name of its layer. */
export function headSpecs(name: string, head: Head, hiddenSize: number): ParameterSpec[] {
  return head.kind === 'embedding' ? [] : linearSpecs(name, head.labels.length, hiddenSize);
}
