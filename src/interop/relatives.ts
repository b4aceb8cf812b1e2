import { ConfigError } from '../errors/index.ts';
import type { ConfigReader, HuggingFace, Json } from '../model/index.ts';
import { Tensor } from '../tensor/index.ts';

/** A `model_type` that computes the same as one of the families, under other names: it is imported and exported as that one. */
export interface Relative extends Pick<HuggingFace, 'defaults' | 'width' | 'heads'> {
  /** The `model_type` that it is imported as. */
  readAs: string;
  /** The `config.json` of that one, or a ConfigError if it computes something else. */
  config(reader: ConfigReader): Json;
  /** That one's name of a tensor, as a bare encoder has it. */
  rename(name: string): string;
  /** Converts the embeddings to those of that one; tensors that are replaced are freed. */
  complete(tensors: Map<string, Tensor>, given: Json): void;
}

const positions = 'bert.embeddings.position_embeddings.weight';
const types = 'bert.embeddings.token_type_embeddings.weight';
const words = 'bert.embeddings.word_embeddings.weight';

/** RoBERTa numbers positions from one above the id of its padding token, and has one token type. */
const roberta: Relative = {
  readAs: 'bert',
  defaults: {
    roberta: {
      vocab_size: 50_265,
      hidden_size: 768,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      intermediate_size: 3072,
      max_position_embeddings: 512,
    },
  },
  width: 'hidden_size',
  heads: 'num_attention_heads',
  config: (reader) => ({
    ...reader.json,
    max_position_embeddings: reader.count('max_position_embeddings') - firstPosition(reader.json),
    type_vocab_size: 2,
  }),
  rename: (name) =>
    replaced(name, [
      [/^roberta\./, ''],
      [/^lm_head\.(dense\.|decoder\.|bias$)/, 'cls.predictions.$1'],
      [/^cls\.predictions\.dense\./, 'cls.predictions.transform.dense.'],
      [/^lm_head\.layer_norm\./, 'cls.predictions.transform.LayerNorm.'],
      [/^classifier\.dense\./, 'pooler.dense.'],
      [/^classifier\.out_proj\./, 'classifier.'],
    ]),
  complete(tensors, given) {
    change(tensors, positions, (table, width) => table.subarray(firstPosition(given) * width));
    // Both texts of a pair get RoBERTa's single token type.
    change(tensors, types, (table, width) =>
      Float32Array.from({ length: 2 * width }, (_, i) => table[i % table.length]!),
    );
  },
};

const firstPosition = ({ pad_token_id: pad }: Json) => (typeof pad === 'number' ? pad : 1) + 1;

/** DistilBERT has no token types, and no pooler. */
const distilbert: Relative = {
  readAs: 'bert',
  defaults: {
    distilbert: {
      vocab_size: 30_522,
      dim: 768,
      n_layers: 6,
      n_heads: 12,
      hidden_dim: 3072,
      max_position_embeddings: 512,
    },
  },
  width: 'dim',
  heads: 'n_heads',
  config({ file, json }) {
    const [architecture] = Array.isArray(json.architectures) ? (json.architectures as unknown[]) : [];
    if (String(architecture).endsWith('ForSequenceClassification')) {
      throw new ConfigError(
        `${file}: a distilbert classifier uses ReLU, but a bert classifier uses tanh; import the pre-trained model and fine-tune it here`,
      );
    }
    return {
      ...json,
      hidden_size: json.dim,
      num_hidden_layers: json.n_layers,
      num_attention_heads: json.n_heads,
      intermediate_size: json.hidden_dim,
      hidden_act: json.activation ?? 'gelu',
      hidden_dropout_prob: json.dropout,
      attention_probs_dropout_prob: json.attention_dropout,
      layer_norm_eps: 1e-12,
    };
  },
  rename: (name) =>
    replaced(name, [
      [/^distilbert\./, ''],
      [/^transformer\.layer\./, 'encoder.layer.'],
      [/\.attention\.q_lin\./, '.attention.self.query.'],
      [/\.attention\.k_lin\./, '.attention.self.key.'],
      [/\.attention\.v_lin\./, '.attention.self.value.'],
      [/\.attention\.out_lin\./, '.attention.output.dense.'],
      [/\.sa_layer_norm\./, '.attention.output.LayerNorm.'],
      [/\.ffn\.lin1\./, '.intermediate.dense.'],
      [/\.ffn\.lin2\./, '.output.dense.'],
      [/\.output_layer_norm\./, '.output.LayerNorm.'],
      [/^vocab_transform\./, 'cls.predictions.transform.dense.'],
      [/^vocab_layer_norm\./, 'cls.predictions.transform.LayerNorm.'],
      [/^vocab_projector\.weight$/, 'cls.predictions.decoder.weight'],
      [/^vocab_projector\.bias$/, 'cls.predictions.bias'],
    ]),
  complete(tensors) {
    const width = tensors.get(words)?.shape[1];
    if (width !== undefined) tensors.set(types, Tensor.from(new Float32Array(2 * width), [2, width]));
  },
};

/** These models by their `model_type`. */
export const relatives: Readonly<Record<string, Relative>> = { roberta, distilbert };

function replaced(name: string, rules: readonly (readonly [RegExp, string])[]): string {
  return rules.reduce((changed, [pattern, to]) => changed.replace(pattern, to), name);
}

/** Replaces the rows of a table, if it exists. */
function change(
  tensors: Map<string, Tensor>,
  name: string,
  rows: (table: Float32Array, width: number) => Float32Array,
): void {
  const table = tensors.get(name);
  if (table?.shape.length !== 2) return;
  const width = table.shape[1]!;
  const values = rows(table.toFloats(), width);
  tensors.set(name, Tensor.from(values, [values.length / width, width]));
  table.free();
}
