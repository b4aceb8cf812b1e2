import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors/index.ts';
import { makeFolder, replaceFile, writing } from '../files/index.ts';
import { ask, persistently, UnreachableError } from './ask.ts';
import { type DownloadOptions, lockFile, type RemoteFile, setTime, type Way, whole } from './download.ts';
import { type HubName, isCommit, kindWords, pinned } from './names.ts';
import { type Asked, refusal } from './refusal.ts';
import { hubSettings } from './settings.ts';

/** Where downloads are kept, and who hears of them. */
export interface HubOptions extends DownloadOptions {
  cacheDir: string;
}

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
  /** Brings a file, unless it is there, by the first of the ways that can be taken, and returns where it is. */
  fetch(path: string, ways?: readonly Way[]): Promise<string>;
}

/** The folder for what comes from a host. */
export function hostFolder(cacheDir: string, address: string): string {
  return join(cacheDir, 'downloads', new URL(address).host.replace(':', '_'));
}

/** What a message says of a name where the Hub refuses it. */
function askedOf(name: HubName): Asked {
  const page = `${hubSettings().endpoint}/${name.type === 'dataset' ? 'datasets/' : ''}${name.repo}`;
  const { base, revision = 'main' } = name;
  return {
    name: revision === 'main' ? base : pinned(name, revision),
    hub: { what: kindWords[name.type], page, revision },
  };
}

/** A `fetch` for Hugging Face's library: it asks again, and throws what the user can understand. */
function fetchFor(name: HubName): typeof fetch {
  const asked = askedOf(name);
  const ours = (url: string, init: Parameters<typeof ask>[1]) =>
    persistently(asked.name, async () => {
      const response = await ask(url, init);
      if (response.ok) return response;
      throw await refusal(asked, response);
    });
  return ours as unknown as typeof fetch;
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
    throw new DataError(
      `${askedOf(name).name}: is not in ${cacheDir}, and HF_HUB_OFFLINE is set; run it once without, or name a cache that has it as data.cache`,
    );
  }
  try {
    const { datasetInfo, modelInfo } = await import('@huggingface/hub');
    const revision = name.revision ?? 'main';
    const what = { name: name.repo, revision, hubUrl: endpoint, fetch: fetchFor(name) };
    const { sha } =
      name.type === 'dataset'
        ? await datasetInfo({ ...what, additionalFields: ['sha'] })
        : await modelInfo({ ...what, additionalFields: ['sha'] });
    if (!isCommit(sha)) throw new DataError(`${name.base}: ${endpoint} does not say the commit; it is no Hub`);
    writing(refs, () => makeFolder(refs));
    replaceFile(file, `${sha}\n`);
    return sha;
  } catch (error) {
    if (!(error instanceof UnreachableError) || known === undefined) throw error;
    onWarning(`${error.message.replace(/; run .*/, '')}: the version of the last download is used, ${known}`);
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
  const missing = () =>
    new DataError(
      `${asked.name}: is not in ${options.cacheDir}, and HF_HUB_OFFLINE is set; run it once without, or name a cache that has it as data.cache`,
    );
  const list = join(folder, `${commit}.json`);
  if (!existsSync(list)) {
    if (isOffline) throw missing();
    const files = await listed({ ...name, revision: commit }, endpoint);
    writing(folder, () => makeFolder(folder));
    replaceFile(list, JSON.stringify(files));
  }
  const files = JSON.parse(readFileSync(list, 'utf8')) as ListedFile[];
  const byPath = new Map(files.map((each) => [each.path, each]));
  const file = (path: string): RemoteFile => {
    const about = byPath.get(path);
    const place = `${endpoint}/${name.type === 'dataset' ? 'datasets/' : ''}${name.repo}/resolve/${commit}`;
    const url = `${place}/${path.split('/').map(encodeURIComponent).join('/')}`;
    return { ...about, ...asked, name: `${asked.name}: ${path}`, url, path: join(folder, commit, path) };
  };
  return {
    name: pinned(name, commit),
    commit,
    files,
    async fetch(path, ways = [whole]) {
      const remote = file(path);
      const targets = ways.map((way) => ({ way, target: { ...remote, path: way.pathOf(remote.path) } }));
      const there = targets.find(({ target }) => existsSync(target.path));
      if (there) return there.target.path;
      if (isOffline) throw missing();
      for (const { way, target } of targets) {
        using _lock = await lockFile(target, options);
        if (existsSync(target.path)) return target.path; // another process has brought it
        if ((await way.bring(target, options)) === undefined) continue;
        setTime(target.path, new Date(0)); // its commit is in its path
        return target.path;
      }
      throw new Error(`no way brings ${remote.name}`);
    },
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
