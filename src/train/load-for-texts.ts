import { openCheckpoint } from '../checkpoints/index.ts';
import { type Config, type ConfigSources, epochsIn, type LoadedConfig, loadConfig } from '../config/index.ts';
import { type Documents, TextTokenizer } from '../data/index.ts';
import { rankEnvironment } from '../distributed/environment.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { type Reporter, silent } from '../runs/reporter.ts';
import { stepsOf } from './epochs.ts';
import { openSources, type RunOptions, startOf } from './run.ts';
import { openTexts, type Texts } from './texts.ts';

/** More steps than any run has, until the texts show how many there are. */
const unknownSteps = 2 ** 52;

/** The run that texts are opened for: a resumed one keeps its tokenizer. */
export interface TextOptions extends Partial<Pick<RunOptions, 'out' | 'resume'>> {
  /** What to train on instead of `data.train`. */
  samples?: Documents | undefined;
  report?: Reporter;
}

/**
 * The complete configuration of a run, as `loadConfig`, but the length may be `train.epochs`: tokenises the texts (cached for the
 * run) and sets `train.steps`.
 *
 * @throws ConfigError as `loadConfig`, if there is no text, and for epochs with several ranks.
 * @throws DataError for texts that cannot be used.
 * @throws OutputError when the cache cannot be written, or the run's folder is in use.
 */
export async function loadConfigForTexts(sources: ConfigSources, options: TextOptions = {}): Promise<LoadedConfig> {
  const epochs = epochsIn(sources);
  if (epochs === undefined) return loadConfig(sources);
  if (rankEnvironment()) {
    throw new ConfigError(
      'train.epochs: works in one process only; set train.steps, which npx taper-lm plan with the same settings prints',
    );
  }
  const withSteps = (steps: number) =>
    loadConfig({ ...sources, sets: [...(sources.sets ?? []), `train.steps=${steps}`] });
  const { config } = withSteps(unknownSteps);
  if (config.data.train.length === 0 && options.samples === undefined) {
    throw new ConfigError(
      'train.epochs: only the text shows how many steps that is, but there is none; add --data my/texts, or set train.steps',
    );
  }
  const texts = await openTextsBefore(config, options);
  texts.close();
  const steps = stepsOf(epochs, config, texts);
  const { derived, ...loaded } = withSteps(steps);
  const reason = `${counted(epochs, 'epoch')} over ${counted(texts.train(steps).samples.count, 'sequence')}`;
  return { ...loaded, derived: [{ key: 'train.steps', value: steps, reason }, ...derived] };
}

/**
 * Opens the texts of a run before it starts: tokenises them, with the tokenizer that the run will have. Reports only its progress;
 * the run reports the rest.
 *
 * @throws DataError for texts that cannot be used.
 */
export async function openTextsBefore(
  config: Config,
  { out, resume = false, samples, report = silent }: TextOptions,
): Promise<Texts> {
  const held: Disposable[] = [];
  const progress: Reporter = { ...report, warn: () => {} };
  try {
    const { from } = config.train;
    const sources =
      out === undefined
        ? {
            checkpoint: undefined,
            isOwn: false,
            initial: from === undefined ? undefined : openCheckpoint(from, () => {}),
            exists: false,
          }
        : openSources(config, out, resume, progress, held);
    const start = await startOf(config, sources, progress, samples);
    const tokenizer = TextTokenizer.fromJson(start.tokenizerJson);
    return await openTexts(start.config, tokenizer, { ...progress, note: () => {} }, { samples });
  } finally {
    for (const lock of held) lock[Symbol.dispose]();
  }
}
