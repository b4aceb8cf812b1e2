export {
  blockFlops,
  blockParameters,
  type PlannedCost,
  parameterCount,
  plannedCost,
  type StepShape,
  stepFlops,
} from './cost.ts';
export { drawGates } from './gates.ts';
export {
  type DepthMethod,
  type DepthSettings,
  type DepthState,
  dense,
  depthMethod,
  depthWarnings,
  expectedDepth,
  pld,
} from './method.ts';
export { drawSeed, philox4x32, Stream, seedKey } from './philox.ts';
export { type Profile, profileRates } from './profile.ts';
export { type Gamma, gammaWarning, resolveGamma, theta } from './schedule.ts';
