import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import { listSources, TextTokenizer, tokenizerKinds } from '../data/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { makeFolder, replaceFile, writing } from '../files/index.ts';
import { namesOf } from '../keys/index.ts';
import { tokenizerProgress, trainTokenizer } from '../train/tokenizers.ts';
import { dataOption } from './config.ts';
import { downloadLine } from './download-line.ts';
import { countOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface TrainOptions {
  data: string[];
  vocabSize: number;
  out: string;
  cased?: boolean;
  keepAccents?: boolean;
  kind: TextTokenizer['kind'];
}

/** `taper-lm tokenizer`: trains and inspects tokenizers. */
export function tokenizerCommand(): Command {
  const tokenizer = new Command('tokenizer').description('train or inspect a tokenizer');
  tokenizer
    .command('train')
    .description("train a tokenizer and write it as Hugging Face's tokenizer.json")
    .addOption(dataOption().makeOptionMandatory())
    .requiredOption('--vocab-size <n>', 'vocabulary size', countOf('--vocab-size', 8))
    .requiredOption('--out <file>', 'output file')
    .addOption(
      new Option(
        '--kind <kind>',
        `the models it is for: ${Object.entries(tokenizerKinds)
          .map(([name, { title }]) => `${name} (${title})`)
          .join(' or ')}`,
      )
        .choices(namesOf(tokenizerKinds))
        .default('bert'),
    )
    .option('--cased', 'bert only: keep capital letters, accents and vowel signs')
    .option(
      '--keep-accents',
      'bert only: lower-case the text, but keep accents and vowel signs even where they are rare',
    )
    .addHelpText(
      'after',
      '\nExample:\n  npx taper-lm tokenizer train --data my/texts --vocab-size 16384 --out my/tokenizer.json',
    )
    .action(train);
  tokenizer
    .command('inspect')
    .description('show the vocabulary size of a tokenizer, its special tokens, and the tokens of a text')
    .argument('<file>', 'tokenizer.json')
    .argument('[text]', 'text to tokenise')
    .addHelpText('after', '\nExample:\n  npx taper-lm tokenizer inspect my/tokenizer.json "The cat sat."')
    .action(inspect);
  return tokenizer;
}

async function train({ data, vocabSize, out, cased, keepAccents, kind }: TrainOptions): Promise<void> {
  const given = [...(cased ? ['--cased'] : []), ...(keepAccents ? ['--keep-accents'] : [])];
  if (!tokenizerKinds[kind].cleans && given.length > 0)
    throw new ConfigError(`${given[0]}: works only with --kind bert; leave it out`);
  if (given.length === 2)
    throw new ConfigError('--cased and --keep-accents: --cased keeps accents as well; leave out --keep-accents');
  using downloads = downloadLine();
  const files = await listSources(data, { onDownload: downloads.show, onWarning: warn });
  downloads.end();
  const onProgress = tokenizerProgress((line) => process.stderr.write(`${line}\n`));
  const stripAccents = keepAccents ? false : undefined;
  const tokenizer = await trainTokenizer(files, {
    kind,
    textField: 'text',
    vocabSize,
    lowercase: !cased,
    stripAccents,
    onProgress,
  });
  writing(out, () => makeFolder(dirname(out)));
  replaceFile(out, tokenizer.json);
  process.stdout.write(`${out}: ${counted(tokenizer.vocabSize, 'token')} from ${counted(files.length, 'file')}\n`);
}

async function inspect(file: string, text: string | undefined): Promise<void> {
  const tokenizer = TextTokenizer.fromFile(file);
  const { vocabSize, padId, unkId, clsId, sepId, maskId } = tokenizer;
  const special = new Set([padId, unkId, clsId, sepId, maskId].filter((id) => id >= 0));
  const named = Array.from(special, (id) => `${tokenizer.tokens([id])[0]} ${id}`);
  process.stdout.write(`tokens          ${vocabSize}\nspecial tokens  ${named.join(', ')}\n`);
  if (text === undefined) return;
  const ids = await tokenizer.encode(text);
  process.stdout.write(`text            ${tokenizer.tokens(ids).join(' ')}\nids             ${ids.join(' ')}\n`);
}
