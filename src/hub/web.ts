import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../files/index.ts';
import { ask, persistently } from './ask.ts';
import type { RemoteFile, Version } from './download.ts';
import { fetchFile, type HubOptions, hostFolder, type Way, whole } from './fetch.ts';
import { refusal } from './refusal.ts';
import { storedJson } from './stored.ts';

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
 * Downloads the file at an address by the first of the ways that can be taken, unless the server says that the one in the cache is still
 * the same. Where it cannot be asked that one is used, with a warning.
 *
 * @throws DataError where the server refuses it, or it is not in the cache and cannot be asked for.
 */
export function fetchAddress(address: string, options: HubOptions, ways: readonly Way[] = [whole]): Promise<string> {
  const file = webFile(address, options.cacheDir);
  const key = ways.map((way) => way.pathOf(file.path)).join('\n');
  const fetched = asked.get(key) ?? fetchFile(file, ways, options, { isCurrent, onDownloaded });
  asked.set(key, fetched);
  fetched.catch(() => asked.delete(key));
  return fetched;
}

function onDownloaded(file: RemoteFile, version: Version): void {
  replaceFile(versionFile(file), JSON.stringify(version));
}

/** Whether the server still has the version that is in the cache. */
async function isCurrent(file: RemoteFile): Promise<boolean> {
  const { etag, lastModified } = storedJson<Version>(versionFile(file)) ?? {};
  if (etag === undefined && lastModified === undefined) return false;
  const headers = etag === undefined ? { 'if-modified-since': lastModified! } : { 'if-none-match': etag };
  const response = await persistently(file.name, () => ask(file.url, { headers }));
  if (response.status !== 304 && !response.ok) throw await refusal(file, response);
  await response.body?.cancel();
  return response.status === 304;
}
