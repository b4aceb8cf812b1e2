/**
 * Transformer models: families, parameters, the switchable block and losses.
 *
 * @module taper-lm/model
 */
export {
  type Branch,
  type Branches,
  type Context,
  DropoutPlace,
  type Model,
  type Pass,
  placesPerBlock,
  switchableBlock,
} from './block.ts';
export { KeyValueCache } from './cache.ts';
export { embeddings, unitRows } from './embeddings.ts';
export { Bert, bertNames } from './families/bert.ts';
export type { BlockNames } from './families/classic.ts';
export { Gpt } from './families/gpt2.ts';
export { modernbertNames, sightOf } from './families/modernbert.ts';
export { families, familyOf, initialise, makeIdentity, parameterSpecs, partsOf } from './families.ts';
export type { Family, FamilyDefaults, Recipe } from './family.ts';
export { type EmbeddingHead, type Head, headKinds, type LabelHead, type NamedHead, plainEmbedding } from './heads.ts';
export { ConfigReader, type HuggingFace, type Json, type SpecialIds } from './hugging-face.ts';
export { headLosses, modelInputs, type PretrainingLosses, pretrainingLosses } from './losses.ts';
export {
  initialiseParameters,
  initialParameter,
  type ModelConfig,
  numParameters,
  type ParameterSpec,
  type Parts,
  type RopeScaling,
  type Weights,
} from './parameters.ts';
export { type ModelSettings, modelSection, presets } from './settings.ts';
export { type ModelInputs, Transformer } from './transformer.ts';
