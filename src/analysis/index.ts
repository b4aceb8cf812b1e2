/**
 * What the blocks of a trained model do: the loss without a block, how far each block moves its input, and gradient norms.
 *
 * @module taper-lm/analysis
 */
export { type GradientFlow, gradientFlow } from './gradients.ts';
export { type Lesions, lesions } from './lesions.ts';
export { type Similarity, similarity } from './similarity.ts';
