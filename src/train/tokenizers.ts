import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, trainPaths } from '../config/index.ts';
import {
  corpusFormat,
  type Documents,
  listSources,
  readTexts,
  type SourceFile,
  TextTokenizer,
  type TrainingProgress,
  tokenizerKinds,
  trainingVersion,
} from '../data/index.ts';
import { ConfigError, counted } from '../errors/index.ts';
import { makeFolder, replaceFile, writing } from '../files/index.ts';
import { familyOf } from '../model/index.ts';
import type { Reporter } from '../runs/index.ts';

/** A tokenizer is trained on at most this many bytes of text: more hardly changes a vocabulary of 30,000 tokens. */
const tokenizerBytes = 64e6;

/**
 * The tokenizer of a configuration: the one that it names, or one trained on its texts (cached for next time) or on a program's
 * documents.
 *
 * @throws ConfigError without text, for a tokenizer of another family, and for documents that are already tokens.
 * @throws DataError for texts or a `tokenizer.json` that cannot be used.
 * @throws OutputError when the cache cannot be written.
 */
export async function openTokenizer(config: Config, report: Reporter, samples?: Documents): Promise<TextTokenizer> {
  const { data, model } = config;
  if (data.tokenizer !== undefined) return checkKind(TextTokenizer.fromFile(data.tokenizer), config);
  if (samples) return trainOnDocuments(samples, config, report);
  if (data.train.length === 0)
    throw new ConfigError('data.train: no text to train on; give files or folders with --data');
  const files = await listSources(trainPaths(data.train), {
    ...data,
    cacheDir: data.cache,
    onWarning: (message) => report.warn(message),
    onDownload: (progress) => report.download?.(progress),
  });
  const { textField, lowercase, stripAccents } = data;
  const { vocabSize } = model;
  const kind = familyOf(model).tokenizer;
  const key = JSON.stringify([
    trainingVersion,
    corpusFormat,
    files,
    textField,
    lowercase,
    stripAccents,
    vocabSize,
    kind,
  ]);
  const path = join(data.cache, `tokenizer-${createHash('sha256').update(key).digest('hex').slice(0, 16)}.json`);
  const kept = keptTokenizer(path, report);
  if (kept) return kept;
  report.note(
    `training a ${tokenizerKinds[kind].title} tokenizer of up to ${counted(vocabSize, 'token')} on ${counted(files.length, 'file')}`,
  );
  const onProgress = tokenizerProgress((line) => report.note(line));
  const tokenizer = await trainTokenizer(files, { ...data, vocabSize, kind, onProgress });
  writing(data.cache, () => makeFolder(data.cache));
  replaceFile(`${path}.sha256`, tokenizer.hash); // first, for another process that finds the tokenizer
  replaceFile(path, tokenizer.json);
  return tokenizer;
}

/** A tokenizer that was trained before; undefined if there is none, or if its file is damaged. */
function keptTokenizer(path: string, report: Reporter): TextTokenizer | undefined {
  if (!existsSync(path)) return undefined;
  const json = readFileSync(path, 'utf8');
  const sum = `${path}.sha256`;
  const isWhole = existsSync(sum) && readFileSync(sum, 'utf8') === createHash('sha256').update(json).digest('hex');
  if (isWhole) return TextTokenizer.fromJson(json, path);
  report.warn(`${path}: is damaged; training the tokenizer again`);
  return undefined;
}

/**
 * A tokenizer trained on a program's documents.
 *
 * @throws ConfigError if the documents are already tokens.
 */
async function trainOnDocuments(samples: Documents, { data, model }: Config, report: Reporter): Promise<TextTokenizer> {
  const { title, train } = tokenizerKinds[familyOf(model).tokenizer];
  report.note(`training a ${title} tokenizer of up to ${counted(model.vocabSize, 'token')} on ${samples.name}`);
  const { lowercase, stripAccents } = data;
  const onProgress = tokenizerProgress((line) => report.note(line));
  const options = { vocabSize: model.vocabSize, maxBytes: tokenizerBytes, lowercase, stripAccents, onProgress };
  return train(textsOf(samples), options);
}

async function* textsOf(samples: Documents): AsyncGenerator<string> {
  for await (const document of samples) {
    if (typeof document === 'string') yield document;
    else
      throw new ConfigError(
        `data.tokenizer: missing, but the samples ${samples.name} are tokens; set it to the tokenizer.json that they were made with`,
      );
  }
}

function checkKind(tokenizer: TextTokenizer, { data, model }: Config): TextTokenizer {
  if (tokenizer.kind === familyOf(model).tokenizer) return tokenizer;
  throw new ConfigError(
    `data.tokenizer: ${data.tokenizer} is for model.kind ${tokenizer.kind}, not ${model.kind}; change one of them`,
  );
}

/** What a tokenizer is trained for. */
interface TokenizerOptions {
  kind: TextTokenizer['kind'];
  vocabSize: number;
  lowercase: boolean;
  /** Default: as `lowercase`. */
  stripAccents?: boolean | undefined;
  textField: string;
  /** Called every two seconds. */
  onProgress?: (progress: TrainingProgress) => void;
}

/**
 * Trains a tokenizer of at most `vocabSize` tokens, WordPiece for encoders and byte-level BPE for decoders (which keeps capitals), on as
 * much of each file as is needed for that.
 *
 * @throws DataError if a file cannot be read as text, or no file contains a word.
 */
export function trainTokenizer(
  files: readonly SourceFile[],
  { kind, textField, lowercase, stripAccents, ...others }: TokenizerOptions,
): Promise<TextTokenizer> {
  const texts = readTexts(files, { textField, maxBytesPerFile: tokenizerBytes / files.length });
  const options = { ...others, maxBytes: tokenizerBytes };
  return tokenizerKinds[kind].train(texts, { ...options, lowercase, stripAccents });
}

/** Reports the progress of training a tokenizer, in one line. */
export function tokenizerProgress(say: (line: string) => void): (progress: TrainingProgress) => void {
  return ({ what, done, total }) => {
    const text = what === 'bytes' ? `${Math.round(done / 1e6)} MB of text read` : `${done} of ${total} ${what}`;
    say(`training the tokenizer: ${text}`);
  };
}
