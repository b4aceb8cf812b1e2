// cspell:ignore licen
import picomatch from 'picomatch';
import { parse } from 'yaml';
import { DataError } from '../errors/index.ts';
import { type HubName, pinned } from './names.ts';

/** What separates a keyword from the rest of a name. */
const separator = '[-._ 0-9]';
const keywords: Record<string, string> = {
  train: 'train|training',
  validation: 'validation|valid|dev|val',
  test: 'test|testing|eval|evaluation',
};
const inFile = eachKeyword((words) => new RegExp(`(?:^|${separator})(?:${words})${separator}[^/]*$`));
const inFolder = eachKeyword((words) => new RegExp(`(?:^|${separator})(?:${words})(?:$|${separator})`));
const numberedShard = /^data\/(\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.[^/]*$/;

const notData = /^(README\.md|config\.json|dataset_infos?\.json|dummy_data\.zip|dataset_dict\.json)$/;
const compressions = /\.(gz|zst|xz|bz2|lz4|zip)$/;
/** Endings of files that explain data; they are data where nothing else is there. */
const besideData = new Set(['', 'md', 'py', 'ipynb', 'yaml', 'yml', 'toml', 'bib']);
/** Files about a data set: licence, readme, change log. */
const aboutData = /^(licen[cs]e|notice|copying|readme|citation|changelog|requirements)(\.(txt|md|rst))?$/i;
const maxNamed = 10;

function eachKeyword(expression: (words: string) => RegExp): [string, RegExp][] {
  return Object.entries(keywords).map(([split, words]) => [split, expression(words)]);
}

/** A subset as the head of a data set's card describes it. */
interface Subset {
  name: string;
  isDefault: boolean;
  /** The folder of its files, if given, without a slash at the end. */
  folder: string;
  /** Patterns by split; undefined where the names of files and folders tell them. */
  patterns: Map<string, string[]> | undefined;
}

/** The files by split. */
type Splits = ReadonlyMap<string, readonly string[]>;

/**
 * The files of a data set that a name means, of the paths in its repository, in the order of their names: those of the split (`train`
 * where none is named and there is one) in a subset, a folder, or what a glob matches; or one file. Subsets and splits are what the head of its
 * card says, else what keywords in folders and file names say. Of several kinds of files in a split the most frequent is taken.
 *
 * Source: https://huggingface.co/docs/hub/datasets-data-files-configuration and `data_files.py` of Hugging Face's `datasets`.
 *
 * @throws DataError where there is no such subset, split or file, or none of a kind that `isText` knows.
 */
export function chooseFiles(
  name: HubName,
  {
    paths,
    card,
    isText,
    endings,
  }: { paths: readonly string[]; card: string; isText(path: string): boolean; endings: string },
): string[] {
  const sorted = [...paths].sort();
  const fail = (reason: string) => new DataError(`${name.base}: ${reason}`);
  if (sorted.includes(name.path)) {
    if (name.split !== undefined) throw fail(`a file has no splits; leave :${name.split} out`);
    if (!isText(name.path)) throw fail(`not a text file that taper reads (${endings})${parquetCopy(name)}`);
    return [name.path];
  }
  const splits = splitsOf(name, sorted, subsetsOf(card), fail);
  const names = [...splits.keys()];
  const split = name.split ?? (names.includes('train') || names.length !== 1 ? 'train' : names[0]!);
  const files = splits.get(split) ?? [];
  if (files.length === 0) {
    const filled = names.filter((each) => splits.get(each)!.length > 0);
    const why = splits.has(split) ? `its card lists no existing file for the split ${split}` : `no split ${split}`;
    if (filled.length === 0) throw fail(names.length > 0 ? why : 'contains no data files');
    const instead = `name one, for example hf:datasets/${name.repo}${name.path && `/${name.path}`}:${filled[0]}`;
    throw fail(`${why}; it has ${listed(filled)}; ${instead}`);
  }
  return ofOneKind(name, files, { isText, endings });
}

function splitsOf(
  name: HubName,
  paths: readonly string[],
  subsets: readonly Subset[],
  fail: (reason: string) => DataError,
): Splits {
  const { path } = name;
  const isWhole = path === '';
  const subset = isWhole ? defaultOf(name, subsets, fail) : subsets.find((each) => each.name === path);
  if (subset)
    return subset.patterns ? byPatterns(subset.patterns, subset.folder, paths) : byNames(within(subset.folder, paths));
  if (isWhole) return byNames(paths.map((each) => ({ path: each, inside: each })));
  const inFolder = within(path, paths);
  if (inFolder.length > 0) return byNames(inFolder);
  const matching = /[*?[{]/.test(path) ? matched([path], '', paths) : [];
  if (matching.length > 0)
    return name.split === undefined
      ? new Map([['train', matching]])
      : byNames(matching.map((each) => ({ path: each, inside: each })));
  const there = subsets.length > 0 ? `; the subsets are ${listed(subsets.map((each) => each.name))}` : '';
  throw fail(`no subset, folder or file ${path}${there}`);
}

/** The subset that is meant where none is named; undefined where the card names none. */
function defaultOf(name: HubName, subsets: readonly Subset[], fail: (reason: string) => DataError): Subset | undefined {
  const found =
    subsets.find(({ isDefault }) => isDefault) ??
    subsets.find((subset) => subset.name === 'default') ??
    (subsets.length === 1 ? subsets[0] : undefined);
  if (found || subsets.length === 0) return found;
  const names = subsets.map((subset) => subset.name);
  throw fail(
    `has several subsets: ${listed(names)}; name one, for example hf:datasets/${name.repo}/${names[0]}${name.split ? `:${name.split}` : ''}`,
  );
}

/** The subsets in the YAML at the head of a card; empty where there are none, or it cannot be read. */
function subsetsOf(card: string): Subset[] {
  const head = /^---\r?\n(.*?)\r?\n---\s*(?:\r?\n|$)/s.exec(card)?.[1] ?? '';
  let configs: unknown;
  try {
    configs = (parse(head) as { configs?: unknown } | null)?.configs;
  } catch {
    return [];
  }
  return Array.isArray(configs) ? configs.map(subsetOf).filter((subset) => subset !== undefined) : [];
}

function subsetOf(config: unknown): Subset | undefined {
  const {
    config_name: name = 'default',
    data_files: files,
    data_dir: folder = '',
    default: isDefault,
  } = (config ?? {}) as Record<string, unknown>;
  return {
    name: String(name),
    isDefault: isDefault === true,
    folder: String(folder).replace(/^(\.\/)+|\/+$/g, ''),
    patterns: files === undefined || files === null ? undefined : patternsOf(files),
  };
}

/** The patterns of a card's `data_files`, in each of the forms that it may have. */
function patternsOf(files: unknown): Map<string, string[]> {
  const texts = (value: unknown) => (Array.isArray(value) ? value : [value]).map(String);
  const isPlain = (value: unknown) => typeof value === 'string';
  if (isPlain(files)) return new Map([['train', texts(files)]]);
  if (!Array.isArray(files))
    return new Map(Object.entries(files as object).map(([split, value]) => [split, texts(value)]));
  if (files.every(isPlain)) return new Map([['train', texts(files)]]);
  const entries = files as { split?: unknown; path: unknown }[];
  return new Map(entries.map(({ split = 'train', path }) => [String(split), texts(path)]));
}

function byPatterns(
  patterns: ReadonlyMap<string, readonly string[]>,
  folder: string,
  paths: readonly string[],
): Splits {
  return new Map(Array.from(patterns, ([split, globs]) => [split, matched(globs, folder, paths)]));
}

/** The paths that match a pattern; hidden files only where the pattern names them. */
function matched(patterns: readonly string[], folder: string, paths: readonly string[]): string[] {
  const full = patterns.map((pattern) => (folder === '' ? pattern : `${folder}/${pattern}`).replace(/^(\.\/)+/, ''));
  const isMatch = full.map((pattern) => picomatch(pattern));
  return paths.filter((path) => isMatch.some((matches) => matches(path)) && (full.includes(path) || isData(path)));
}

/** A path, and the part of it below the folder that is looked at. */
interface Below {
  path: string;
  inside: string;
}

function within(folder: string, paths: readonly string[]): Below[] {
  const start = folder === '' ? '' : `${folder}/`;
  return paths.filter((path) => path.startsWith(start)).map((path) => ({ path, inside: path.slice(start.length) }));
}

const isData = (path: string) =>
  !notData.test(path.split('/').at(-1)!) &&
  !path.split('/').some((part) => part.startsWith('.') || part.startsWith('__'));

/** The splits that names tell: numbered shards first, then keywords in folders, then in files; without any all is `train`. */
function byNames(all: readonly Below[]): Splits {
  const files = all.filter(({ inside }) => isData(inside));
  const shards = files.flatMap(({ path, inside }) =>
    numberedShard.test(inside) ? [[numberedShard.exec(inside)![1]!, path] as const] : [],
  );
  if (shards.length > 0) {
    const splits = new Map<string, string[]>();
    for (const [split, path] of shards) {
      if (!splits.has(split)) splits.set(split, []);
      splits.get(split)!.push(path);
    }
    return splits;
  }
  const folders = ({ inside }: Below) => inside.split('/').slice(0, -1);
  const baseOf = ({ inside }: Below) => inside.split('/').at(-1)!;
  const passes: [string, (file: Below) => boolean][][] = [
    inFolder.map(([split, keyword]) => [split, (file) => folders(file).some((folder) => keyword.test(folder))]),
    inFile.map(([split, keyword]) => [split, (file) => keyword.test(baseOf(file))]),
    [['train', () => true]],
  ];
  for (const pass of passes) {
    const splits = new Map(pass.map(([split, matches]) => [split, files.filter(matches).map(({ path }) => path)]));
    const filled = [...splits].filter(([, found]) => found.length > 0);
    if (filled.length > 0) return new Map(filled);
  }
  return new Map();
}

/** The files of the most frequent kind. */
function ofOneKind(
  name: HubName,
  files: readonly string[],
  { isText, endings }: { isText(path: string): boolean; endings: string },
): string[] {
  const kindOf = (path: string) => {
    const base = path.split('/').at(-1)!.toLowerCase().replace(compressions, '');
    return base.includes('.') ? base.split('.').at(-1)! : '';
  };
  const data = files.filter((path) => !besideData.has(kindOf(path)) && !aboutData.test(path.split('/').at(-1)!));
  const counts = new Map<string, number>();
  for (const path of data.length > 0 ? data : files) counts.set(kindOf(path), (counts.get(kindOf(path)) ?? 0) + 1);
  const favourite = (kind: string) => ['jsonl', 'parquet'].indexOf(kind);
  const [kind] = [...counts].sort(([a, m], [b, n]) => n - m || favourite(b) - favourite(a))[0]!;
  const texts = (data.length > 0 ? data : files).filter((path) => kindOf(path) === kind && isText(path));
  if (texts.length > 0) return texts;
  const what =
    kind === 'py'
      ? 'is a Python script, which taper does not run'
      : `has files such as ${files.find((path) => kindOf(path) === kind)}, but none that taper reads (${endings})`;
  throw new DataError(`${name.base}: ${what}${parquetCopy(name)}`);
}

/** The Hub keeps most data sets as Parquet too, in a branch. */
function parquetCopy(name: HubName): string {
  const split = name.split === undefined ? '' : `:${name.split}`;
  return `; if the Hub has a Parquet copy, use ${pinned({ ...name, base: `hf:datasets/${name.repo}${split}` }, 'refs/convert/parquet')}`;
}

const listed = (names: readonly string[]) =>
  names.slice(0, maxNamed).join(', ') + (names.length > maxNamed ? ` and ${names.length - maxNamed} more` : '');
