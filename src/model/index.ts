export { Bert, type BertInputs } from './bert.ts';
export { DropoutPlace, layerNormEpsilon, switchableBlock, type TrainingPass } from './block.ts';
export { huggingFaceConfig } from './hugging-face.ts';
export {
  initialise,
  type ModelConfig,
  type ParameterSpec,
  parameterSpecs,
  tiedDecoder,
  type Weights,
  wordEmbeddings,
} from './parameters.ts';
