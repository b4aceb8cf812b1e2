export { Bert } from './bert.ts';
export { DropoutPlace, type Model, type Pass, placesPerBlock, switchableBlock } from './block.ts';
export { Gpt } from './gpt.ts';
export { huggingFaceConfig, type SpecialIds } from './hugging-face.ts';
export { modelOf } from './open.ts';
export {
  type BlockNames,
  blockNames,
  type Classifier,
  initialise,
  initialiseParameters,
  type ModelConfig,
  makeIdentity,
  outerNames,
  outputBiasName,
  type ParameterSpec,
  type Parts,
  parameterSpecs,
  partsOf,
  type Weights,
} from './parameters.ts';
export { type ModelInputs, Transformer } from './transformer.ts';
