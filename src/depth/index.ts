export {
  blockFlops,
  blockParameters,
  type PlannedCost,
  parameterCount,
  plannedCost,
  type StepShape,
  stepFlops,
} from './cost.ts';
export { drawGates, type Gate, type Granularity, openShare, partOfGate } from './gates.ts';
export { type DepthMethod, type DepthState, expectedDepth } from './method.ts';
export { constant, dense, fade, layerdrop, pld, shallow, staged, timeOnly } from './methods.ts';
export { type Profile, profileRates } from './profile.ts';
export { type Gamma, gammaWarning, resolveGamma, theta } from './schedule.ts';
export { type DepthSettings, depthMethod, depthWarnings, hasGamma } from './settings.ts';
