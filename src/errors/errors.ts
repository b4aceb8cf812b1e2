/**
 * A mistake that the user can fix: the command line prints its one line and exits with 2.
 * The message says where, what was found, what was expected and how to fix it.
 */
export class UserError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** A setting that is unknown, out of range, or does not fit another one. */
export class ConfigError extends UserError {}

/** A text source, tokenizer or token shard that is missing, empty, broken or too small. */
export class DataError extends UserError {}

/** A checkpoint that is missing, broken, or of a shape other than expected. */
export class CheckpointError extends UserError {}

/** A folder or file that cannot be written, for lack of permission or space. */
export class OutputError extends UserError {}

/** The native addon or its libtorch is missing or does not load. */
export class SetupError extends UserError {}
