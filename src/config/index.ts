export { commandText } from './command.ts';
export { type FromDeepSpeed, fromDeepSpeed } from './deepspeed.ts';
export { configurationMarkdown } from './docs.ts';
export { CheckpointError, ConfigError, DataError, OutputError, SetupError, UserError } from './errors.ts';
export { type Derived, type LoadedConfig, loadConfig, readConfigFile } from './load.ts';
export { defaultDevice, numProcessors } from './processor.ts';
export { type Config, configSchema, type PartialConfig, presets } from './schema.ts';
export { type Section, type Setting, sections, settings } from './settings.ts';
export { packageVersion } from './version.ts';
