import type { Checkpoint } from '../checkpoints/index.ts';
import { lastConfig, trainPaths } from '../config/index.ts';
import type { MicroBatch, Samples, TextTokenizer } from '../data/index.ts';
import { ConfigError, DataError } from '../errors/index.ts';
import type { TrainedModel } from '../inference/index.ts';
import { downloadLine } from './download-line.ts';
import { preparation, prepareProgress } from './progress.ts';
import { warn } from './terminal.ts';

/** A trained model with masked batches of a text, read from disk on demand until it is disposed. */
interface HeldOut extends TrainedModel, Disposable {
  batches(): Iterable<MicroBatch>;
  sequences: number;
}

/**
 * Opens a checkpoint and masks at most `limit` sequences of a text, with masks that do not depend on a run. Without `data`, of the
 * text that its run held out. Disposing it frees the model and closes the text.
 */
export async function openHeldOut(
  path: string,
  options: { data?: string[]; limit: number; device: string },
): Promise<HeldOut> {
  const { heldOutBatches, makeMask } = await import('../data/index.ts');
  const { openTrained } = await import('../inference/index.ts');
  const trained = openTrained(path, { warn, device: options.device, asTrained: true });
  try {
    const { checkpoint, tokenizer } = trained;
    const { data, train } = lastConfig(checkpoint.config);
    const { samples, close } =
      options.data === undefined
        ? await ownHeldOut(checkpoint, tokenizer)
        : await givenText(path, options.data, trained);
    const sequences = Math.min(options.limit, samples.count);
    const how = { limit: sequences, size: train.microBatchSize, mask: makeMask(tokenizer, data) };
    const dispose = () => {
      close();
      trained[Symbol.dispose]();
    };
    return { ...trained, batches: () => heldOutBatches(samples, how), sequences, [Symbol.dispose]: dispose };
  } catch (error) {
    trained[Symbol.dispose]();
    throw error;
  }
}

/** Samples, and what closes the files that they are read from. */
interface OpenSamples {
  samples: Samples;
  close(): void;
}

/** What a run held out of its text, or its `data.valid`. */
async function ownHeldOut({ config, progress, path }: Checkpoint, tokenizer: TextTokenizer): Promise<OpenSamples> {
  if (config.data.train.length === 0 || progress.source !== undefined)
    throw new ConfigError(`--data: missing, and ${path} names no text of its own; give --data my/other-texts`);
  const { openTexts } = await import('../train/index.ts');
  using report = preparation();
  const texts = await openTexts(config, tokenizer, { ...report, note: () => {}, warn: () => {} });
  if (texts.hash !== progress.textHash) {
    texts.close();
    throw new DataError(
      `--data: missing, and the text of the run, ${trainPaths(config.data.train).join(', ')}, has changed since, so its held-out part may have been trained on; give --data my/other-texts`,
    );
  }
  return { samples: texts.valid.samples, close: () => texts.close() };
}

/** A text of `--data`. */
async function givenText(
  path: string,
  paths: readonly string[],
  { checkpoint, tokenizer }: TrainedModel,
): Promise<OpenSamples> {
  const { prepareCorpus, samplesOf, wholeCorpus } = await import('../data/index.ts');
  const { warnOfUnknown } = await import('../train/index.ts');
  const { data } = lastConfig(checkpoint.config);
  const { textField, cache: cacheDir } = data;
  using downloads = downloadLine();
  const corpus = await prepareCorpus({
    paths,
    textField,
    tokenizer,
    cacheDir,
    onProgress: prepareProgress((line) => process.stderr.write(`${line}\n`)),
    onDownload: downloads.show,
    onWarning: warn,
  });
  downloads.end();
  warnOfUnknown(corpus.index, `the tokenizer of ${path} is not made for this text`, (message) =>
    warn(`--data: ${message}`),
  );
  try {
    return { samples: samplesOf(wholeCorpus(corpus), { ...data, tokenizer }), close: () => corpus.close() };
  } catch (error) {
    corpus.close();
    throw error;
  }
}
