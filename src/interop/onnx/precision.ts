/** How a graph stores its numbers. */
export interface Precision {
  /** Its file in an export. */
  file: string;
  /** The type that it computes in. */
  floats: 'float' | 'float16';
  /** Bits per weight of linear layers, if they are quantised; embeddings then have 8. */
  bits?: 8 | 4;
}

/** The graphs of an export, by transformers.js' name of their `dtype`. */
export const precisions: Readonly<Record<'fp32' | 'fp16' | 'q8' | 'q4', Precision>> = {
  fp32: { file: 'onnx/model.onnx', floats: 'float' },
  fp16: { file: 'onnx/model_fp16.onnx', floats: 'float16' },
  q8: { file: 'onnx/model_quantized.onnx', floats: 'float', bits: 8 },
  q4: { file: 'onnx/model_q4.onnx', floats: 'float', bits: 4 },
};
