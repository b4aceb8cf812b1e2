/**
 * Models in and out: folders of Hugging Face's `transformers`, ONNX, GGUF, and models with blocks left out.
 *
 * @module taper-lm/interop
 */
export { pipelineOf } from './card.ts';
export { exportHuggingFace } from './export-hf.ts';
export { exportGguf } from './gguf/export.ts';
export { importHuggingFace, openModel } from './import.ts';
export { evenly, leastHarmful, type OutgoingModel, openOutgoing, runnable, withBlocks } from './model.ts';
export { exportOnnx } from './onnx/export.ts';
