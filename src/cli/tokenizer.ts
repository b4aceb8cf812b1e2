import { dirname } from 'node:path';
import { Command } from 'commander';
import { listSources, makeFolder, TextTokenizer } from '../data/index.ts';
import { replaceFile, writing } from '../train/files.ts';
import { trainTokenizer } from '../train/texts.ts';
import { countOf, dataOption } from './config.ts';

interface TrainOptions {
  data: string[];
  vocabSize: number;
  out: string;
  cased?: boolean;
}

/** `taper tokenizer`: makes tokenizers, and looks into them. */
export function tokenizerCommand(): Command {
  const tokenizer = new Command('tokenizer').description('train a tokenizer, or look into one');
  tokenizer
    .command('train')
    .description("train a WordPiece tokenizer and write it as Hugging Face's tokenizer.json")
    .addOption(dataOption().makeOptionMandatory())
    .requiredOption('--vocab-size <n>', 'number of pieces', countOf('--vocab-size', 8))
    .requiredOption('--out <file>', 'file to write')
    .option('--cased', 'keep capital letters and accents')
    .addHelpText(
      'after',
      '\nExample:\n  taper tokenizer train --data my/texts --vocab-size 16384 --out my/tokenizer.json',
    )
    .action(train);
  tokenizer
    .command('inspect')
    .description('show the size of a tokenizer, its special tokens, and the pieces of a text')
    .argument('<file>', 'tokenizer.json')
    .argument('[text]', 'text to cut in pieces')
    .addHelpText('after', '\nExample:\n  taper tokenizer inspect my/tokenizer.json "The cat sat."')
    .action(inspect);
  return tokenizer;
}

async function train({ data, vocabSize, out, cased }: TrainOptions): Promise<void> {
  const files = await listSources(data);
  const tokenizer = await trainTokenizer(files, { textField: 'text', vocabSize, lowercase: !cased });
  writing(out, () => makeFolder(dirname(out)));
  replaceFile(out, tokenizer.json);
  process.stdout.write(`${out}: ${tokenizer.vocabSize} pieces from ${files.length} files\n`);
}

async function inspect(file: string, text: string | undefined): Promise<void> {
  const tokenizer = TextTokenizer.fromFile(file);
  const { vocabSize, padId, unkId, clsId, sepId, maskId } = tokenizer;
  const named = [padId, unkId, clsId, sepId, maskId].map((id) => `${tokenizer.pieces([id])[0]} ${id}`);
  process.stdout.write(`pieces          ${vocabSize}\nspecial tokens  ${named.join(', ')}\n`);
  if (text === undefined) return;
  const ids = await tokenizer.encode(text);
  process.stdout.write(`text            ${tokenizer.pieces(ids).join(' ')}\nids             ${ids.join(' ')}\n`);
}
