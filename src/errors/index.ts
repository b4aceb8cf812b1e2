export { commandText, startedText } from './command.ts';
export { CheckpointError, ConfigError, DataError, OutputError, SetupError, UserError } from './errors.ts';
export { counted } from './words.ts';
