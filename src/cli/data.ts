import { relative } from 'node:path';
import { Command } from 'commander';
import { type Config, lastConfig, loadConfig, sourceName } from '../config/index.ts';
import {
  type DocumentPlace,
  type DuplicateKind,
  type Mask,
  makeMask,
  mixed,
  objectives,
  type Samples,
  type SourceFile,
  samplesOf,
  type TextTokenizer,
  wholeCorpus,
} from '../data/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { percent, rounded, table } from '../report/format.ts';
import type { Reporter } from '../runs/index.ts';
import { type Corpora, openCorpora, totalOf } from '../train/corpora.ts';
import { duplicatesText, explained, openRepeated, type Repeated } from '../train/duplicates.ts';
import { openTokenizer } from '../train/tokenizers.ts';
import { unknownText, vocabularyAdvice, warnOfUnknown } from '../train/unknown.ts';
import { type ConfigOptions, configArgument, dataOption, setOption } from './config.ts';
import { downloadLine } from './download-line.ts';
import { prepareProgress } from './progress.ts';
import { firstRuns } from './start-next.ts';
import { warn } from './terminal.ts';

const [numShownSamples, numShownFiles] = [3, 3];
/** The maximum number of sequences in which padding is counted. */
const numCountedSamples = 2000;

const say = (line: string) => process.stderr.write(`${line}\n`);

/** `taper-lm data`: tokenises texts for training, and shows them as the model sees them. */
export function dataCommand(): Command {
  const data = new Command('data').description('tokenise texts, or show them as the model sees them');
  data
    .command('prepare')
    .description('tokenise texts ahead of training')
    .argument(...configArgument)
    .addOption(dataOption())
    .addOption(setOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm data prepare configs/encoder.yaml --data my/texts')
    .action(prepare);
  data
    .command('inspect')
    .description('show counts of documents, tokens and duplicates, and some training sequences with their masks')
    .argument(...configArgument)
    .addOption(dataOption())
    .addOption(setOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm data inspect configs/encoder.yaml --data my/texts')
    .action(inspect);
  return data;
}

async function prepare(file: string | undefined, options: ConfigOptions): Promise<void> {
  using opened = await open(file, options);
  const { textBytes } = totalOf(opened.corpora.all);
  const speed = opened.seconds === undefined ? 'already cached' : `${rounded(textBytes / 1e6 / opened.seconds)} MB/s`;
  process.stdout.write(
    `${countsText(opened)}text       ${rounded(textBytes / 1e6)} MB, ${speed}\ncached in  ${opened.config.data.cache}\n`,
  );
}

async function inspect(file: string | undefined, options: ConfigOptions): Promise<void> {
  using opened = await open(file, options);
  const { config, tokenizer, corpora, report } = opened;
  const { data } = lastConfig(config);
  const { sequenceLength, objective } = data;
  const search = (kind: DuplicateKind) => openRepeated(corpora, data, kind, tokenizer, report);
  const repeated = await search('near');
  const dropped = data.deduplicate === 'none' ? undefined : await search(data.deduplicate);
  const parts = corpora.train.map(({ corpus }) =>
    explained(() => samplesOf(wholeCorpus(corpus, dropped?.of(corpus)), { ...data, tokenizer }), dropped),
  );
  const samples = mixed(
    parts,
    corpora.train.map(({ share }) => share),
  );
  process.stdout.write(
    `${countsText(opened)}duplicates ${duplicatesText(repeated)}\nsequences  ${samples.count} of ${counted(sequenceLength, 'token')} (${objective})\n` +
      `padding    ${percent(paddingShare(samples))}\n\n` +
      examplesText(repeated, data) +
      (objectives[objective].masks
        ? `Some sequences; {a → b}: the model has to predict a, and reads b: ${tokenizer.tokens([tokenizer.maskId])[0]} in 80 % of the places, a itself (a → a) in 10 %, a random token in 10 %:\n`
        : 'Some sequences; the model has to predict each next token:\n'),
  );
  const mask = objectives[objective].masks ? makeMask(tokenizer, data) : undefined;
  for (const [i, part] of parts.entries()) {
    if (parts.length > 1) process.stdout.write(`\nfrom ${sourceName(corpora.train[i]!)}:\n`);
    const shown = Math.min(Math.ceil(numShownSamples / parts.length), part.count);
    for (let n = 0; n < shown; n++)
      process.stdout.write(`\n${maskedText(part, mask, Math.floor((n * part.count) / shown))}\n`);
  }
}

/** Some documents that repeat others, and how to drop them. */
function examplesText({ examples, path }: Repeated, { deduplicate }: Config['data']): string {
  if (examples.length === 0) return '';
  const placed = ({ text, number, words }: DocumentPlace) => `${text}, document ${number}: ${words} …`;
  const lines = examples.map(({ kind, similarity, document, repeats }) => {
    const how = (kind === 'exact' ? 'the same' : percent(similarity)).padEnd(8);
    return `  ${how}  ${placed(document)}\n            ${placed(repeats)}\n`;
  });
  const advice = deduplicate === 'none' ? '; --set data.deduplicate=near drops them' : '';
  return `Some duplicates, each above the document that it repeats; the full list is ${path}${advice}:\n\n${lines.join('')}\n`;
}

/** The numbers of documents and tokens of the training texts, and the share of each text in a mixture. */
function countsText({ corpora: { train }, tokenizer }: OpenTexts): string {
  const total = totalOf(train.map(({ corpus }) => corpus));
  const blank = train.reduce((sum, { corpus }) => sum + corpus.index.blank.documents, 0);
  const without = blank === 0 ? '' : `, and ${blank} without text`;
  // A tokenizer that knows every byte has no [UNK].
  const unknown = tokenizer.unkId >= 0 ? `[UNK]      ${unknownText(total)}\n` : '';
  const rows = train.map(({ corpus: { index }, ...source }) => [
    ...[sourceName(source), percent(source.share), percent(index.tokens / total.tokens)],
    ...[index.documents.toLocaleString('en'), index.tokens.toLocaleString('en')],
  ]);
  const names = ['text', 'share', 'of all tokens', 'documents', 'tokens'];
  const mixture = train.length > 1 ? `\n${table([names, ...rows])}\n` : '';
  return `${filesText(train.flatMap(({ files }) => files))}documents  ${total.documents}${without}\ntokens     ${total.tokens}\n${mixture}${unknown}`;
}

/** The number of training files, and the names of the first. */
function filesText(files: readonly SourceFile[]): string {
  const names = files.slice(0, numShownFiles).map(({ path, name }) => (name === path ? relative('', path) : name));
  return `files      ${files.length}: ${names.join(', ')}${files.length > numShownFiles ? ', …' : ''}\n`;
}

/** The tokenised texts of a command line, and the seconds that tokenising took; undefined if they were cached. */
interface OpenTexts extends Disposable {
  config: Config;
  tokenizer: TextTokenizer;
  corpora: Corpora;
  report: Reporter;
  seconds: number | undefined;
}

async function open(file: string | undefined, options: ConfigOptions): Promise<OpenTexts> {
  const { config } = loadConfig({
    file: file ?? firstRuns.encoder.file,
    overrides: options.data ? { data: { train: options.data } } : {},
    sets: [...(options.set ?? []), 'train.steps=1'], // of any length: nothing is trained
  });
  if (config.data.train.length === 0)
    throw new ConfigError('data.train: no text; give files or folders, as in --data my/texts');
  using downloads = downloadLine();
  const show = prepareProgress(say);
  let started = 0;
  let seconds: number | undefined;
  const report: Reporter = {
    note: say,
    warn,
    download: downloads.show,
    prepare: (progress) => {
      show(progress);
      seconds = (performance.now() - started) / 1000;
    },
  };
  const tokenizer = await openTokenizer(config, report);
  started = performance.now();
  const corpora = await openCorpora(config, tokenizer, report);
  downloads.end();
  if (file === undefined)
    say(
      `using ${firstRuns.encoder.file}, as npm start does; to use another configuration, put it before --data: npx taper-lm data inspect configs/encoder.yaml --data …`,
    );
  for (const { corpus } of corpora.train)
    warnOfUnknown(corpus.index, vocabularyAdvice(config), (message) => warn(`data.train: ${message}`));
  return { config, tokenizer, corpora, report, seconds, [Symbol.dispose]: () => corpora[Symbol.dispose]() };
}

function paddingShare({ count, sequenceLength, at, read }: Samples): number {
  const counted = Math.min(count, numCountedSamples);
  let filled = 0;
  for (let i = 0; i < counted; i++) {
    filled += read(at(i, 0)).ids.length;
  }
  return 1 - filled / (counted * sequenceLength);
}

/** A sequence as the model sees it in its first epoch, with the correct token beside each one that it has to predict. */
function maskedText({ tokenizer, read }: Samples, mask: Mask | undefined, sample: number): string {
  const key = { seed: 0, epoch: 0, sample };
  const { ids, documents } = read(key);
  if (!mask) return tokenizer.tokens(ids).join(' ');
  const { positions, labels } = mask(ids, key, documents);
  const wanted = new Map(tokenizer.tokens(labels).map((token, i) => [positions[i], token]));
  let text = '';
  tokenizer.tokens(ids).forEach((token, i) => {
    const isPlain = (at: number) => !wanted.has(at) && !tokenizer.isSpecial[ids[at]!];
    if (wanted.has(i)) text += ` {${wanted.get(i)} → ${token}}`;
    else text += token.startsWith('##') && isPlain(i - 1) ? token.slice(2) : ` ${token}`;
  });
  return text.trim();
}
