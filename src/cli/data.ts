import { Command } from 'commander';
import { type Config, lastConfig, loadConfig } from '../config/index.ts';
import {
  type Corpus,
  type DocumentPlace,
  type Mask,
  makeMask,
  objectives,
  prepareCorpus,
  type Samples,
  samplesOf,
  type TextTokenizer,
  wholeCorpus,
} from '../data/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { percent, rounded } from '../report/format.ts';
import { type Dropped, duplicatesText, explained, openRepeated } from '../train/duplicates.ts';
import { openTokenizer, unknownText, vocabularyAdvice, warnOfUnknown } from '../train/texts.ts';
import { type ConfigOptions, configArgument, dataOption, setOption } from './config.ts';
import { downloadLine } from './download-line.ts';
import { warn } from './terminal.ts';

const numShownSamples = 3;
/** Sequences that the padding is counted in, at most. */
const numCountedSamples = 2000;

const say = (line: string) => process.stderr.write(`${line}\n`);

/** `taper-lm data`: makes texts ready for training, and looks at them as the model will. */
export function dataCommand(): Command {
  const data = new Command('data').description('tokenise texts, or look at them as the model will');
  data
    .command('prepare')
    .description('tokenise texts once, so that training starts at once')
    .argument(...configArgument)
    .addOption(dataOption())
    .addOption(setOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm data prepare configs/encoder.yaml --data my/texts')
    .action(prepare);
  data
    .command('inspect')
    .description('show what is in texts, and some training sequences with their masks')
    .argument(...configArgument)
    .addOption(dataOption())
    .addOption(setOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm data inspect configs/encoder.yaml --data my/texts')
    .action(inspect);
  return data;
}

async function prepare(file: string | undefined, options: ConfigOptions): Promise<void> {
  const { seconds, corpus, config, tokenizer } = await open(file, options);
  const { tokens, textBytes } = corpus.index;
  const unknown = unknownLine(corpus, tokenizer);
  corpus.close();
  const speed = seconds === undefined ? 'done before' : `${rounded(textBytes / 1e6 / seconds)} MB/s`;
  process.stdout.write(
    `documents  ${documentsText(corpus)}\ntokens     ${tokens}\n${unknown}text       ${rounded(textBytes / 1e6)} MB, ${speed}\nkept in    ${config.data.cache}\n`,
  );
}

async function inspect(file: string | undefined, options: ConfigOptions): Promise<void> {
  const { corpus, config, tokenizer } = await open(file, options);
  const { tokens } = corpus.index;
  const { data } = lastConfig(config);
  const { sequenceLength, objective } = data;
  const { repeated, dropped } = await duplicatesOf(corpus, config, tokenizer);
  const samples = explained(() => samplesOf(wholeCorpus(corpus, dropped?.train), { ...data, tokenizer }), dropped);
  process.stdout.write(
    `documents  ${documentsText(corpus)}\ntokens     ${tokens}\n${unknownLine(corpus, tokenizer)}duplicates ${duplicatesText(repeated)}\nsequences  ${samples.count} of ${counted(sequenceLength, 'token')} (${objective})\n` +
      `padding    ${percent(paddingShare(samples))}\n\n` +
      examplesText(repeated, data) +
      (objectives[objective].masks
        ? 'Some sequences; {a → b} is a piece a that the model has to find where it reads b:\n'
        : 'Some sequences; the model has to find each next piece:\n'),
  );
  const mask = objectives[objective].masks ? makeMask(tokenizer, data) : undefined;
  for (let i = 0; i < Math.min(numShownSamples, samples.count); i++) {
    const sample = Math.floor((i * samples.count) / numShownSamples);
    process.stdout.write(`\n${maskedText(samples, mask, sample)}\n`);
  }
  corpus.close();
}

/** The documents that repeat others, held-out text included, and those of them that the configuration drops. */
async function duplicatesOf(
  train: Corpus,
  { data }: Config,
  tokenizer: TextTokenizer,
): Promise<{ repeated: Dropped; dropped: Dropped | undefined }> {
  const { valid: paths, exclude, textField, cache: cacheDir } = data;
  const sources = { paths, exclude, textField, tokenizer, cacheDir };
  const valid = paths.length > 0 ? await prepareCorpus({ ...sources, onWarning: warn }) : undefined;
  try {
    const open = (kind: 'exact' | 'near') => openRepeated({ train, valid }, data, kind, tokenizer, { note: say, warn });
    return {
      repeated: await open('near'),
      dropped: data.deduplicate === 'none' ? undefined : await open(data.deduplicate),
    };
  } finally {
    valid?.close();
  }
}

/** Some documents that repeat others, and how they are dropped. */
function examplesText({ examples, path }: Dropped, { deduplicate }: Config['data']): string {
  if (examples.length === 0) return '';
  const placed = ({ text, number, words }: DocumentPlace) => `${text}, document ${number}: ${words} …`;
  const lines = examples.map(({ kind, similarity, document, repeats }) => {
    const how = (kind === 'exact' ? 'the same' : percent(similarity)).padEnd(8);
    return `  ${how}  ${placed(document)}\n            ${placed(repeats)}\n`;
  });
  const advice = deduplicate === 'none' ? '; --set data.deduplicate=near drops them' : '';
  return `Some duplicates, each above the document that it repeats; all are listed in ${path}${advice}:\n\n${lines.join('')}\n`;
}

/** How much of a text becomes [UNK]; nothing for a tokenizer that knows every byte. */
function unknownLine({ index }: Corpus, { unkId }: TextTokenizer): string {
  return unkId >= 0 ? `[UNK]      ${unknownText(index)}\n` : '';
}

/** The number of documents, and of rows and files that are none because they have no text. */
function documentsText({ index: { documents, blank } }: Corpus): string {
  return blank.documents === 0 ? `${documents}` : `${documents}, and ${blank.documents} without text`;
}

/** The texts of a command line, tokenised, and the seconds that it took now; undefined where it was done before. */
async function open(
  file: string | undefined,
  options: ConfigOptions,
): Promise<{ config: Config; tokenizer: TextTokenizer; corpus: Corpus; seconds: number | undefined }> {
  // No model is made here: without a config file any will do.
  const anyModel = file === undefined ? { model: { preset: 'bert-mini' as const }, train: { steps: 1 } } : {};
  const { config } = loadConfig({
    ...(file !== undefined && { file }),
    overrides: { ...anyModel, ...(options.data && { data: { train: options.data } }) },
    sets: options.set ?? [],
  });
  const { train: paths, exclude, textField, cache: cacheDir } = config.data;
  if (paths.length === 0) throw new ConfigError('data.train: no text; give files or folders with --data');
  using downloads = downloadLine();
  const report = { note: say, warn, download: downloads.show };
  const tokenizer = await openTokenizer(config, report);
  const started = performance.now();
  let seconds: number | undefined;
  const onProgress = () => {
    seconds = (performance.now() - started) / 1000;
  };
  const sources = { paths, exclude, textField, tokenizer, cacheDir };
  const corpus = await prepareCorpus({ ...sources, onProgress, onDownload: downloads.show, onWarning: warn });
  downloads.end();
  warnOfUnknown(corpus.index, vocabularyAdvice(config), (message) => warn(`data.train: ${message}`));
  return { config, tokenizer, corpus, seconds };
}

function paddingShare({ count, sequenceLength, read }: Samples): number {
  const counted = Math.min(count, numCountedSamples);
  let filled = 0;
  for (let i = 0; i < counted; i++) {
    filled += read({ seed: 0, epoch: 0, sample: Math.floor((i * count) / counted) }).ids.length;
  }
  return 1 - filled / (counted * sequenceLength);
}

/** A sequence as the model sees it at first, with the right piece beside each that it has to find. */
function maskedText({ tokenizer, read }: Samples, mask: Mask | undefined, sample: number): string {
  const key = { seed: 0, epoch: 0, sample };
  const { ids, documents } = read(key);
  if (!mask) return tokenizer.pieces(ids).join(' ');
  const { positions, labels } = mask(ids, key, documents);
  const wanted = new Map(tokenizer.pieces(labels).map((piece, i) => [positions[i], piece]));
  let text = '';
  tokenizer.pieces(ids).forEach((piece, i) => {
    const isPlain = (at: number) => !wanted.has(at) && !tokenizer.isSpecial[ids[at]!];
    if (wanted.has(i)) text += ` {${wanted.get(i)} → ${piece}}`;
    else text += piece.startsWith('##') && isPlain(i - 1) ? piece.slice(2) : ` ${piece}`;
  });
  return text.trim();
}
