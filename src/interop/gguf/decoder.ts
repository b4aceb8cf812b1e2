import type { Json, ModelConfig, Weights } from '../../model/index.ts';
import type { Tensor } from '../../tensor/index.ts';
import type { Field } from './file.ts';

/** A tensor by llama.cpp's name, in float32; `make` gives it to the scope that it is called in. */
export interface NamedTensor {
  name: string;
  shape: readonly number[];
  make(): Tensor;
}

/** A family of decoders as llama.cpp has it; `json` is the model's Hugging Face `config.json`. */
export interface GgufDecoder {
  /** What of a model llama.cpp does not have. */
  mistakes(config: ModelConfig, json: Json): string[];
  fields(config: ModelConfig, json: Json): Record<string, Field>;
  tensors(config: ModelConfig, json: Json, weights: Weights): NamedTensor[];
}
