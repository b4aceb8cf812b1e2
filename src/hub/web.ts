import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DataError } from '../errors/index.ts';
import { replaceFile } from '../files/index.ts';
import { ask, persistently, UnreachableError } from './ask.ts';
import { lockFile, type RemoteFile, setTime, type Version, type Way, whole } from './download.ts';
import { refusal } from './refusal.ts';
import { type HubOptions, hostFolder } from './repository.ts';
import { hubSettings } from './settings.ts';

/** Addresses that this process has asked for, and where they are: within one command a text does not change. */
const asked = new Map<string, Promise<string>>();

/** The file at an address as one to download: a query gives it a folder of its own. */
export function webFile(address: string, cacheDir: string): RemoteFile {
  const { pathname, search } = new URL(address);
  const path = join(hostFolder(cacheDir, address), pathname);
  const query = search === '' ? '' : createHash('sha256').update(search).digest('hex').slice(0, 8);
  return { name: address, url: address, path: join(dirname(path), query, basename(path)) };
}

/** Beside a file from the web: which version it is. */
const versionFile = ({ path }: RemoteFile) => `${path}.version.json`;

/**
 * Brings the file at an address by the first of the ways that can be taken, unless the server says that the one in the cache is still
 * the same. Where it cannot be asked that one is used, with a warning.
 *
 * @throws DataError where the server refuses it, or it is not in the cache and cannot be asked for.
 */
export function fetchAddress(address: string, options: HubOptions, ways: readonly Way[] = [whole]): Promise<string> {
  const file = webFile(address, options.cacheDir);
  const key = ways.map((way) => way.pathOf(file.path)).join('\n');
  const fetched = asked.get(key) ?? fetchFile(file, options, ways);
  asked.set(key, fetched);
  fetched.catch(() => asked.delete(key));
  return fetched;
}

async function fetchFile(file: RemoteFile, options: HubOptions, ways: readonly Way[]): Promise<string> {
  const { cacheDir, onWarning = () => {} } = options;
  const targets = ways.map((way) => ({ way, target: { ...file, path: way.pathOf(file.path) } }));
  const there = targets.find(({ target }) => existsSync(target.path))?.target.path;
  if (hubSettings().isOffline) {
    if (there !== undefined) return there;
    throw new DataError(`${file.name}: is not in ${cacheDir}, and HF_HUB_OFFLINE is set; run it once without`);
  }
  try {
    for (const { way, target } of targets) {
      using _lock = await lockFile(target, options);
      if (existsSync(target.path) && (await isCurrent(target))) return target.path;
      const version = await way.bring(target, options);
      if (version === undefined) continue;
      replaceFile(versionFile(target), JSON.stringify(version));
      if (version.lastModified !== undefined) setTime(target.path, new Date(version.lastModified));
      return target.path;
    }
    throw new Error(`no way brings ${file.name}`);
  } catch (error) {
    if (!(error instanceof UnreachableError) || there === undefined) throw error;
    onWarning(`${error.message.replace(/; run .*/, '')}: the version of the last download is used`);
    return there;
  }
}

/** Whether the server still has the version that is in the cache. */
async function isCurrent(file: RemoteFile): Promise<boolean> {
  const known = existsSync(versionFile(file)) ? (JSON.parse(readFileSync(versionFile(file), 'utf8')) as Version) : {};
  const { etag, lastModified } = known;
  if (etag === undefined && lastModified === undefined) return false;
  const headers = etag === undefined ? { 'if-modified-since': lastModified! } : { 'if-none-match': etag };
  const response = await persistently(file.name, () => ask(file.url, { headers }));
  if (response.status !== 304 && !response.ok) throw await refusal(file, response);
  await response.body?.cancel();
  return response.status === 304;
}
