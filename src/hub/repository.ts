import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors/index.ts';
import { makeFolder, replaceFile, writing } from '../files/index.ts';
import { UnreachableError } from './ask.ts';
import type { RemoteFile } from './download.ts';
import { fetchFile, type HubOptions, hostFolder, notInCache, type Way, whole } from './fetch.ts';
import { askedOf, fetchFor } from './library.ts';
import { type HubName, hubPath, isCommit, pinned } from './names.ts';
import { hubSettings } from './settings.ts';
import { storedJson } from './stored.ts';

/** A file as the Hub lists it. */
interface ListedFile {
  path: string;
  bytes: number;
  sha256?: string;
  gitOid?: string;
}

/** A repository at a commit, and what it holds. */
export interface Repository {
  /** The name with its commit. */
  name: string;
  commit: string;
  files: readonly ListedFile[];
  /** Downloads a file, unless it is there, by the first of the ways that can be taken, and returns where it is. */
  fetch(path: string, ways?: readonly Way[]): Promise<string>;
}

/** The place of a repository in the cache: `refs/` with the commits of its branches, and a list and a folder of files for each commit. */
function folderOf({ type, repo }: HubName, cacheDir: string): string {
  return join(hostFolder(cacheDir, hubSettings().endpoint), `${type}s`, repo);
}

/**
 * The commit that a name means now. Where the Hub cannot be asked it is the one that was meant last, with a warning.
 *
 * @throws DataError where there is no such thing, or it may not be read, or it cannot be asked for.
 */
export async function commitOf(name: HubName, { cacheDir, onWarning = () => {} }: HubOptions): Promise<string> {
  if (isCommit(name.revision)) return name.revision!;
  const { endpoint, isOffline } = hubSettings();
  const refs = join(folderOf(name, cacheDir), 'refs');
  const file = join(refs, encodeURIComponent(name.revision ?? 'main'));
  const known = existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  if (isOffline) {
    if (known !== undefined) return known;
    throw notInCache(askedOf(name).name, cacheDir);
  }
  try {
    const { datasetInfo, modelInfo } = await import('@huggingface/hub');
    const revision = name.revision ?? 'main';
    const what = { name: name.repo, revision, hubUrl: endpoint, fetch: fetchFor(name) };
    const { sha } =
      name.type === 'dataset'
        ? await datasetInfo({ ...what, additionalFields: ['sha'] })
        : await modelInfo({ ...what, additionalFields: ['sha'] });
    if (!isCommit(sha))
      throw new DataError(
        `${name.base}: ${endpoint} returned no commit, so it is not a Hugging Face Hub; check HF_ENDPOINT`,
      );
    writing(refs, () => makeFolder(refs));
    replaceFile(file, `${sha}\n`);
    return sha;
  } catch (error) {
    if (!(error instanceof UnreachableError) || known === undefined) throw error;
    onWarning(`${error.what}: using the version downloaded last, ${known}`);
    return known;
  }
}

/**
 * Opens a repository at the commit that a name means. The list of its files is kept, so that another time nothing is asked.
 *
 * @throws DataError as `commitOf`, and where it is not in the cache while HF_HUB_OFFLINE is set.
 */
export async function openRepository(name: HubName, options: HubOptions): Promise<Repository> {
  const commit = await commitOf(name, options);
  const { endpoint, isOffline } = hubSettings();
  const folder = folderOf(name, options.cacheDir);
  const asked = askedOf({ ...name, revision: commit });
  const list = join(folder, `${commit}.json`);
  let files = storedJson<ListedFile[]>(list);
  if (!files) {
    if (isOffline) throw notInCache(asked.name, options.cacheDir);
    files = await listed({ ...name, revision: commit }, endpoint);
    writing(folder, () => makeFolder(folder));
    replaceFile(list, JSON.stringify(files));
  }
  const byPath = new Map(files.map((each) => [each.path, each]));
  const file = (path: string): RemoteFile => {
    const about = byPath.get(path);
    const url = `${endpoint}/${hubPath(name)}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
    // Its commit is in its path, and its time the same after another download.
    const place = { url, path: join(folder, commit, path), time: new Date(0) };
    return { ...about, ...asked, name: `${asked.name}: ${path}`, ...place };
  };
  return {
    name: pinned(name, commit),
    commit,
    files,
    fetch: (path, ways = [whole]) => fetchFile(file(path), ways, options),
  };
}

async function listed(name: HubName, endpoint: string): Promise<ListedFile[]> {
  const { listFiles } = await import('@huggingface/hub');
  const files: ListedFile[] = [];
  const repo = { type: name.type, name: name.repo };
  const what = { repo, revision: name.revision!, recursive: true, hubUrl: endpoint, fetch: fetchFor(name) };
  for await (const { type, path, size, oid, lfs } of listFiles(what)) {
    if (type !== 'file' || path.split('/').includes('..')) continue;
    files.push({ path, bytes: size, ...(lfs ? { sha256: lfs.oid } : oid && { gitOid: oid }) });
  }
  return files;
}
