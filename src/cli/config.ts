import { type Command, Option } from 'commander';
import {
  type ConfigSources,
  deviceOf,
  epochsIn,
  fromDeepSpeed,
  type LoadedConfig,
  loadConfig,
  type PartialConfig,
  readConfigFile,
} from '../config/index.ts';
import { depthWarnings } from '../depth/index.ts';
import { ConfigError } from '../errors/index.ts';
import { defaultDevice } from '../machine/index.ts';
import { preparation } from './progress.ts';

/** The options that make up a configuration. */
export interface ConfigOptions {
  data?: string[];
  set?: string[];
  deepspeed?: string;
  /** The checkpoint that the run starts from: its model overrides the config file's. */
  from?: { path: string; model: NonNullable<PartialConfig['model']> };
}

export const setOption = () => new Option('--set <key=value...>', 'set configuration keys, as in train.steps=1000');
export const deepSpeedOption = () => new Option('--deepspeed <file>', 'use the settings of a DeepSpeed JSON config');
export const dataOption = (more = '') =>
  new Option('--data <path...>', `text: files, folders, globs, hf:datasets/ORG/NAME:SPLIT or https://…${more}`);
export const deviceOption = () =>
  new Option('--device <device>', 'device: cpu, cuda, cuda:1, mps').default(defaultDevice());
export const jsonOption = () => new Option('--json', 'print only one JSON object on standard output');
/** The options given on the command line, by their names in code. */
export const givenIn = (command: Command) =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli');
/** For commands that only use a model. */
export const modelArgument = [
  '<model>',
  'a run (its newest checkpoint), a checkpoint folder, or an export (hf)',
] as const;
export const configArgument = ['[config]', 'config file, YAML or JSON; see docs/configuration.md'] as const;

/**
 * The configuration of a command line: the file, then the DeepSpeed file and `--data`, then `--set`; later ones override earlier ones.
 * With `train.epochs` it reads the texts, as `run` will.
 *
 * @throws ConfigError for a mistake in any of them, and if there are none.
 */
export async function configOf(
  file: string | undefined,
  options: ConfigOptions,
  command: Command,
  run: { out?: string; resume?: boolean } = {},
): Promise<LoadedConfig> {
  if (file === undefined && options.set === undefined && options.deepspeed === undefined) {
    throw new ConfigError(
      `no configuration: give a file, as in npx taper-lm ${command.name()} configs/encoder.yaml, ` +
        'or settings, as in --set model.preset=bert-mini train.steps=1000',
    );
  }
  const { deepspeed, from } = options;
  const sources = { ...(file !== undefined && { file }), sets: options.set ?? [] };
  const deepSpeed = deepspeed === undefined ? undefined : fromDeepSpeed(readConfigFile(deepspeed), deviceOf(sources));
  const overrides = {
    ...deepSpeed?.config,
    ...(from && { model: from.model, train: { ...deepSpeed?.config.train, from: from.path } }),
    ...(options.data && { data: { train: options.data } }),
  };
  const loaded = await withSteps({ ...sources, overrides }, run);
  const { depth, model, train } = loaded.config;
  const warnings = [
    ...(deepSpeed?.warnings ?? []),
    ...loaded.warnings,
    ...depthWarnings(depth, model.layers, train.steps),
  ];
  return { ...loaded, warnings };
}

/** Loads a configuration; if `train.epochs` is given, reads the texts for it. */
async function withSteps(sources: ConfigSources, run: { out?: string; resume?: boolean }): Promise<LoadedConfig> {
  if (epochsIn(sources) === undefined) return loadConfig(sources);
  const { loadConfigForTexts } = await import('../train/index.ts');
  using report = preparation();
  return loadConfigForTexts(sources, { ...run, report });
}
