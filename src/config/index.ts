/**
 * The configuration of a run: its schema, defaults, checks and derived values.
 *
 * @module taper-lm/config
 */
export { type FromDeepSpeed, fromDeepSpeed } from './deepspeed.ts';
export {
  type ConfigSources,
  type Derived,
  deviceOf,
  epochsIn,
  type LoadedConfig,
  loadConfig,
  readConfigFile,
} from './load.ts';
export { taperName } from './other-names.ts';
export { configAt, lastConfig, type Phase, type Phased, phasesOf, type StepConfig } from './phases.ts';
export { type Config, configSchema, type PartialConfig } from './schema.ts';
export { keysThatAffect, type Section, type Setting, sections, settings } from './settings.ts';
export { sourceName, type TextSource, textSources, trainPaths } from './sources.ts';
export { packageVersion } from './version.ts';
