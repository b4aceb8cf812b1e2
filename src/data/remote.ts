import { readFileSync } from 'node:fs';
import picomatch from 'picomatch';
import { counted, DataError } from '../errors/index.ts';
import {
  chooseFiles,
  commitOf,
  fetchAddress,
  type HubOptions,
  hubPath,
  isAddress,
  isCommit,
  isHubName,
  openRepository,
  parseHubName,
  whole,
} from '../hub/index.ts';
import { columnAlone } from './parquet-column.ts';
import { isTextFile, textEndings } from './sources.ts';

/** How remote texts are downloaded. */
export interface RemoteOptions extends HubOptions {
  /** Only this column of Parquet files is downloaded, if that is less. */
  textField: string;
  /** Globs of files to leave out. */
  exclude: readonly string[];
}

/** A text file in the cache, and its unique name or address. */
interface DownloadedText {
  path: string;
  source: string;
}

/** Whether a text is a name on the Hugging Face Hub or an address on the web, not a local path. */
export const isRemote = (name: string) => isHubName(name) || isAddress(name);

/**
 * Downloads the text files of a name on the Hub or of an address into the cache.
 *
 * @throws DataError if there is none, or none that can be read as text or downloaded.
 */
export async function fetchTexts(name: string, options: RemoteOptions): Promise<DownloadedText[]> {
  const waysOf = (path: string) => (/\.parquet$/i.test(path) ? [columnAlone(options.textField), whole] : [whole]);
  if (isAddress(name)) {
    const path = pathOf(name);
    if (!isTextFile(path)) throw new DataError(`${name}: not a text file that taper reads (${textEndings.join(' ')})`);
    if (leftIn([path], options.exclude).length === 0) return [];
    return [{ path: await fetchAddress(name, options, waysOf(path)), source: name }];
  }
  const hubName = parseHubName(name, 'dataset');
  const repository = await openRepository(hubName, options);
  const sizes = new Map(repository.files.map(({ path, bytes }) => [path, bytes]));
  const card = sizes.has('README.md') ? readFileSync(await repository.fetch('README.md'), 'utf8') : '';
  const endings = textEndings.join(' ');
  const chosen = chooseFiles(hubName, { paths: [...sizes.keys()], card, isText: isTextFile, endings });
  const filled = chosen.filter((path) => sizes.get(path)! > 0);
  if (filled.length === 0) throw new DataError(`${name}: no text in ${counted(chosen.length, 'text file')}`);
  const downloaded: DownloadedText[] = [];
  const { revision } = hubName;
  for (const path of leftIn(filled, options.exclude)) {
    const source = `hf:${hubPath(hubName)}/${path}${revision === undefined ? '' : `@${revision}`}`;
    downloaded.push({ path: await repository.fetch(path, waysOf(path)), source });
  }
  return downloaded;
}

function pathOf(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new DataError(`${address}: is not a valid address; use one such as https://example.org/texts/a.txt`, {
      cause,
    });
  }
  if (url.username || url.password)
    throw new DataError(
      `${url.origin}${url.pathname}: the address contains a user name or password, which would be saved with the run; download the file and give its path`,
    );
  return url.pathname;
}

function leftIn(paths: readonly string[], exclude: readonly string[]): string[] {
  const isLeftOut = exclude.map((glob) => picomatch(glob.includes('/') ? glob : `**/${glob}`, { dot: true }));
  return paths.filter((path) => !isLeftOut.some((matches) => matches(path.replace(/^\//, ''))));
}

/**
 * Names with their current commits, so that they always mean the same texts. A name that `known` has with a commit keeps it;
 * paths and addresses stay as they are.
 *
 * @throws DataError for a name that is not a data set, or that cannot be looked up.
 */
export async function pinNames(
  names: readonly string[],
  { known = [], ...options }: HubOptions & { known?: readonly string[] },
): Promise<string[]> {
  const result: string[] = [];
  for (const name of names) {
    const before = known.find((each) => /^@[0-9a-f]{40}$/.test(each.slice(name.length)) && each.startsWith(name));
    if (!isHubName(name) || before !== undefined) result.push(before ?? name);
    else {
      const hubName = parseHubName(name, 'dataset');
      // The revision stays in the name, so that a resumed run finds it by the name that the user gives.
      result.push(isCommit(hubName.revision) ? name : `${name}@${await commitOf(hubName, options)}`);
    }
  }
  return result;
}
