import type { Json, ModelConfig, Weights } from '../../model/index.ts';
import type { Tensor } from '../../tensor/index.ts';
import type { Field } from './file.ts';

/** A tensor by llama.cpp's name, in float32; the scope that calls `make` owns it. */
export interface NamedTensor {
  name: string;
  shape: readonly number[];
  make(): Tensor;
}

/** A family of decoders as llama.cpp has it; `json` is the model's Hugging Face `config.json`. */
export interface GgufDecoder {
  /** What llama.cpp does not support in a model. */
  mistakes(config: ModelConfig, json: Json): string[];
  fields(config: ModelConfig, json: Json): Record<string, Field>;
  tensors(config: ModelConfig, json: Json, weights: Weights): NamedTensor[];
}
