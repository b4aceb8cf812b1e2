/**
 * Which blocks run at which step: depth methods, gates and their cost. It needs no tensors.
 *
 * @module taper-lm/depth
 */
export { type ForwardFlops, type PlannedCost, plannedCost, type StepWork, stepFlops } from './cost.ts';
export {
  drawGates,
  type Gate,
  type GateDraw,
  type Granularity,
  granularities,
  openShare,
  partOfGate,
} from './gates.ts';
export type { DepthMethod, MethodOptions, NamedMethod } from './method.ts';
export { constant } from './methods/constant.ts';
export { dense } from './methods/dense.ts';
export { fade } from './methods/fade.ts';
export { type Growth, grow } from './methods/grow.ts';
export { layerdrop } from './methods/layerdrop.ts';
export { checkedMethod } from './methods/own.ts';
export { pld } from './methods/pld.ts';
export { shallow } from './methods/shallow.ts';
export { staged } from './methods/staged.ts';
export { timeOnly } from './methods/time-only.ts';
export { type DepthMethodName, depthMethods } from './methods.ts';
export { type Profile, profileRates } from './profile.ts';
export { type Gamma, gammaWarning, resolveGamma, theta } from './schedule.ts';
export {
  completeDepth,
  type DepthSettings,
  depthJumps,
  depthMethod,
  depthMistakes,
  depthSection,
  depthWarnings,
  depthWords,
  drawsGates,
  hasGamma,
  knownMethod,
  type MethodSettings,
  mostBlocks,
  ownSettings,
  ownWords,
  withShared,
} from './settings.ts';
export { type DepthState, expectedDepth, type NewBlock, scaled, unscaled } from './state.ts';
