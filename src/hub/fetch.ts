import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { DataError } from '../errors/index.ts';
import { makeFolder, tryLock, writing } from '../files/index.ts';
import { UnreachableError } from './ask.ts';
import { type DownloadOptions, download, type RemoteFile, type Version } from './download.ts';
import { hubSettings } from './settings.ts';

/** How often a process looks whether another one has finished a download, in milliseconds. */
const lookMs = 200;

/** Where downloads are kept, and what is called with their progress. */
export interface HubOptions extends DownloadOptions {
  cacheDir: string;
}

/** How to download a file: whole, or only the part that is needed. */
export interface Way {
  /** Where it goes that way. */
  pathOf(path: string): string;
  /** Downloads it to its path; undefined where another way has to be taken. */
  download(file: RemoteFile, options: DownloadOptions): Promise<Version | undefined>;
}

/** Downloads the whole file; always possible. */
export const whole: Way = { pathOf: (path) => path, download };

/** The folder for what comes from a host. */
export function hostFolder(cacheDir: string, address: string): string {
  return join(cacheDir, 'downloads', new URL(address).host.replace(':', '_'));
}

/** The error of what is not in the cache while the network may not be asked. */
export function notInCache(name: string, cacheDir: string): DataError {
  return new DataError(
    `${name}: is not in ${cacheDir}, and HF_HUB_OFFLINE is set; unset it to download, or set data.cache to a folder that has it`,
  );
}

/** What may be done with a file in the cache, where it can change elsewhere. */
interface Caching {
  /** Whether the one in the cache is still the same. */
  isCurrent?(file: RemoteFile): Promise<boolean>;
  onDownloaded?(file: RemoteFile, version: Version): void;
}

/**
 * Downloads a file by the first of the ways that can be taken, unless it is in the cache, and returns where it is. Where the server
 * cannot be asked the one in the cache is used, with a warning.
 *
 * @throws DataError where the server refuses it, or it is not in the cache and cannot be asked for.
 */
export async function fetchFile(
  file: RemoteFile,
  ways: readonly Way[],
  options: HubOptions,
  { isCurrent = async () => true, onDownloaded = () => {} }: Caching = {},
): Promise<string> {
  const targets = ways.map((way) => ({ way, target: { ...file, path: way.pathOf(file.path) } }));
  const there = targets.find(({ target }) => existsSync(target.path))?.target;
  if (hubSettings().isOffline) {
    if (there) return there.path;
    throw notInCache(file.name, options.cacheDir);
  }
  try {
    if (there && (await isCurrent(there))) return there.path;
    for (const { way, target } of targets) {
      using _lock = await lockFile(target, options);
      if (existsSync(target.path) && (await isCurrent(target))) return target.path; // another process has downloaded it
      const version = await way.download(target, options);
      if (version === undefined) continue;
      onDownloaded(target, version);
      return target.path;
    }
    throw new Error(`no way downloads ${file.name}`);
  } catch (error) {
    if (!(error instanceof UnreachableError) || !there) throw error;
    options.onWarning?.(`${error.what}: using the version downloaded last`);
    return there.path;
  }
}

/** Waits until no other process on this machine downloads a file, and keeps others from it until disposed. */
async function lockFile({ name, path, bytes }: RemoteFile, { onDownload }: DownloadOptions): Promise<Disposable> {
  writing(dirname(path), () => makeFolder(dirname(path)));
  for (let waitedMs = 0; ; waitedMs += lookMs) {
    const lock = tryLock(`${path}.${hostname()}.lock`);
    if (typeof lock !== 'number') return lock;
    const pause = { reason: `process ${lock} is downloading it`, secondsLeft: 1 };
    if (waitedMs % 1000 === 0) onDownload?.({ name, bytesDone: 0, bytes, pause });
    await setTimeout(lookMs);
  }
}
