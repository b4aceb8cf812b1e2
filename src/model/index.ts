export { Bert, type BertInputs } from './bert.ts';
export { DropoutPlace, layerNormEpsilon, type Model, switchableBlock, type TrainingPass } from './block.ts';
export { huggingFaceConfig } from './hugging-face.ts';
export {
  initialise,
  type ModelConfig,
  type ParameterSpec,
  parameterSpecs,
  type Weights,
  wordEmbeddings,
} from './parameters.ts';
