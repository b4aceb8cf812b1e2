import { basename, join, resolve } from 'node:path';
import { type Config, loadConfig } from '../config/index.ts';
import { commandText } from '../errors/index.ts';
import { freeName } from './folders.ts';

/** A setting that two configurations have differently, each value as JSON; undefined if it is absent. */
export interface Difference {
  /** `section.key` */
  key: string;
  was: string | undefined;
  is: string | undefined;
}

/** The settings of two complete configurations that differ. */
export function differences(before: Config, after: Config): Difference[] {
  const flat = (config: Config) =>
    new Map(
      Object.entries(config).flatMap(([section, settings]) =>
        Object.entries(settings).map(([key, value]): [string, string] => [`${section}.${key}`, JSON.stringify(value)]),
      ),
    );
  const [old, now] = [flat(before), flat(after)];
  const keys = new Set([...old.keys(), ...now.keys()]);
  return [...keys].flatMap((key) => {
    const [was, is] = [old.get(key), now.get(key)];
    return was === is ? [] : [{ key, was, is }];
  });
}

/** Settings that may change while a model keeps its weights. */
const keepsWeights = new Set(['model.preset', 'model.embeddingStd', 'model.dropout', 'model.attentionDropout']);
/** Settings that come from where a run began. */
const ofStart = new Set(['model.vocabSize', 'train.from', 'train.decayFrom']);
/** Settings of the tokenizer: a change makes the trained weights useless. */
const ofTokenizer = new Set(['data.tokenizer', 'data.lowercase', 'data.stripAccents']);

/**
 * The command that starts a new run, configured like `run` except where `config` differs, from the weights of `checkpoint` (a
 * checkpoint folder, or a run). Without it, or if those weights would not fit, training starts from scratch.
 */
export function newRunCommand(run: string, config: Config, checkpoint?: string): string {
  const folder = ['.', '..'].includes(basename(run)) ? resolve(run) : run.replace(/(?<=.)\/+$/, '');
  const file = join(folder, 'config.json');
  const before = loadConfig({ file }).config;
  const changed = differences(before, config).filter(({ key }) => !ofStart.has(key));
  const isNewModel = changed.some(
    ({ key }) => (key.startsWith('model.') && !keepsWeights.has(key)) || ofTokenizer.has(key),
  );
  const from = isNewModel ? undefined : checkpoint;
  const sets = changed.map(({ key, is }) => `${key}=${is === undefined ? 'null' : settingText(is)}`);
  // A run that starts from a checkpoint uses its model and its tokenizer.
  if (from !== undefined && config.data.tokenizer !== undefined) sets.push('data.tokenizer=null');
  if (before.train.decayFrom !== undefined) sets.push('train.decayFrom=null');
  if (from === undefined && isNewModel && before.train.from !== undefined) sets.push('train.from=null');
  return commandText([
    ...['npx', 'taper-lm', 'pretrain', file],
    ...(from === undefined ? [] : ['--from', from]),
    ...(sets.length === 0 ? [] : ['--set', ...sets]),
    ...['--out', freeName(folder)],
  ]);
}

/** A value for `--set`: words unquoted, so that a shell needs no quotes. */
function settingText(json: string): string {
  const bare = /^"([a-z][\w./+-]*)"$/i.exec(json)?.[1];
  return bare === undefined || /^(true|false|null|yes|no|on|off|y|n)$/i.test(bare) ? json : bare;
}
