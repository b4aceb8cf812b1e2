import { linearSpecs, type ParameterSpec } from './parameters.ts';

/** The head of a fine-tuned model, which replaces its pre-training heads. */
export type Head = LabelHead | EmbeddingHead;

/** A linear layer with one output per label. */
export interface LabelHead {
  /**
   * `single-label` picks one label of a text, `multi-label` any number of them, `token` one for each token; a `regression` has
   * one label, whose value it gives.
   */
  kind: 'single-label' | 'multi-label' | 'regression' | 'token';
  labels: readonly string[];
  /** For `multi-label`: the probability from which each label is predicted. */
  thresholds?: readonly number[];
}

/** No parameters: hidden states become one vector for each text. */
export interface EmbeddingHead {
  kind: 'embedding';
  /** The mean over the tokens of a text, [CLS] and [SEP] included, or the state of the first token. */
  pooling: 'mean' | 'first';
  /** Whether a vector is scaled to length 1. */
  normalized: boolean;
  /** Shorter lengths at which a vector's first numbers were also trained as a vector: Matryoshka (arXiv 2205.13147). */
  dimensions: readonly number[];
}

/** The head of a model that was not fine-tuned for embeddings: the default of most libraries. */
export const plainEmbedding: EmbeddingHead = { kind: 'embedding', pooling: 'mean', normalized: true, dimensions: [] };

/** Hugging Face's names for a kind of head. */
export interface NamedHead {
  /** The suffix of its classes, after the name of the family. */
  architecture: 'ForSequenceClassification' | 'ForTokenClassification' | 'Model';
  /** `problem_type` of `config.json`. */
  problem?: string;
  /** The transformers pipeline for a model with this head. */
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
