import { lastConfig } from '../config/index.ts';
import type { MicroBatch } from '../data/index.ts';
import type { TrainedModel } from '../inference/index.ts';
import { downloadLine } from './download-line.ts';
import { prepareProgress } from './progress.ts';
import { warn } from './terminal.ts';

/** A trained model with masked batches of a text, read from disk on demand until it is disposed. */
export interface HeldOut extends TrainedModel, Disposable {
  batches(): Iterable<MicroBatch>;
  sequences: number;
}

/** Opens a checkpoint and masks at most `limit` sequences of a text, with masks that do not depend on a run. */
export async function openHeldOut(
  path: string,
  options: { data: string[]; limit: number; device: string },
): Promise<HeldOut> {
  const { heldOutBatches, makeMask, prepareCorpus, samplesOf, wholeCorpus } = await import('../data/index.ts');
  const { openTrained } = await import('../inference/index.ts');
  const { warnOfUnknown } = await import('../train/index.ts');
  const trained = openTrained(path, { warn, device: options.device, asTrained: true });
  const { checkpoint, tokenizer } = trained;
  const { data, train } = lastConfig(checkpoint.config);
  const { textField, cache: cacheDir } = data;
  using downloads = downloadLine();
  const corpus = await prepareCorpus({
    paths: options.data,
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
    const samples = samplesOf(wholeCorpus(corpus), { ...data, tokenizer });
    const sequences = Math.min(options.limit, samples.count);
    const how = { limit: sequences, size: train.microBatchSize, mask: makeMask(tokenizer, data) };
    const batches = () => heldOutBatches(samples, how);
    return { ...trained, batches, sequences, [Symbol.dispose]: () => corpus.close() };
  } catch (error) {
    corpus.close();
    throw error;
  }
}
