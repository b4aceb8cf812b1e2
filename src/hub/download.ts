import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  createReadStream,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'undici';
import { DataError } from '../errors/index.ts';
import { sync, writing } from '../files/index.ts';
import { ask, BrokenError, type OnPause, persistently } from './ask.ts';
import { type Asked, refusal } from './refusal.ts';
import { storedJson } from './stored.ts';

/** A file elsewhere, and where it goes. */
export interface RemoteFile extends Asked {
  url: string;
  path: string;
  /** What is known of it; nothing of a file on the web. */
  bytes?: number;
  sha256?: string;
  /** SHA-1 of git's object: `blob BYTES\0` and the content. */
  gitOid?: string;
  /** The time that it gets; by default the server's. */
  time?: Date;
}

/** Progress of a download. */
export interface DownloadProgress {
  name: string;
  bytesDone: number;
  /** Undefined where the server does not say it. */
  bytes: number | undefined;
  /** Why it pauses, and the seconds that are left of that. */
  pause?: { reason: string; secondsLeft: number };
}

/** Is called with the progress of downloads; what it throws ends them. */
export interface DownloadOptions {
  onDownload?: ((progress: DownloadProgress) => void) | undefined;
  onWarning?: ((message: string) => void) | undefined;
}

/** What a server says of a version of a file. */
export interface Version {
  etag?: string;
  lastModified?: string;
}

/** The header of a request that wants the rest of this version only; undefined if the server gives no version. */
export function ifRange({ etag, lastModified }: Version): string | undefined {
  return etag !== undefined && !etag.startsWith('W/') ? etag : lastModified;
}

export function versionOf({ headers }: Response): Version {
  const [etag, lastModified] = [headers.get('etag'), headers.get('last-modified')];
  return { ...(etag && { etag }), ...(lastModified && { lastModified }) };
}

/**
 * Downloads a file to its path, complete and verified, or not at all. An interrupted download resumes if the version is unchanged.
 *
 * @throws DataError where the server refuses it, or sends something else than was promised.
 */
export async function download(file: RemoteFile, options: DownloadOptions): Promise<Version> {
  let { version, resumed, fault } = await downloadPart(file, options);
  // What was there before may be the fault.
  if (fault !== undefined && resumed) ({ version, fault } = await downloadPart(file, options));
  if (fault !== undefined)
    throw new DataError(`${file.name}: ${fault}; the download was deleted; run the same command again`);
  publish(file, version);
  return version;
}

/** Each machine that shares a cache has a part of its own; the rename of the last that finishes counts. */
export const partOf = ({ path }: RemoteFile) => `${path}.${hostname()}.part`;
/** Beside the part: which version that is of, and what of it is there. */
export const aboutPart = (file: RemoteFile) => `${partOf(file)}.json`;
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Gives a part its name, with the time of its version, so that what is made of it is found again after another download. */
export function publish(file: RemoteFile, { lastModified }: Version): void {
  const time = file.time ?? new Date(lastModified ?? Number.NaN);
  if (!Number.isNaN(time.getTime())) utimesSync(partOf(file), time, time);
  sync(partOf(file));
  renameSync(partOf(file), file.path);
  rmSync(aboutPart(file), { force: true });
}

export function forget(file: RemoteFile): void {
  rmSync(partOf(file), { force: true });
  rmSync(aboutPart(file), { force: true });
}

function storedVersion(file: RemoteFile): Version {
  return storedJson(aboutPart(file)) ?? {};
}

/** Downloads all bytes of a file into its part, and checks that; one with a fault is removed. */
async function downloadPart(
  file: RemoteFile,
  { onDownload }: DownloadOptions,
): Promise<{ version: Version; resumed: boolean; fault: string | undefined }> {
  const part = partOf(file);
  let { bytes } = file;
  let version = storedVersion(file);
  if (bytes !== undefined && sizeOf(part) > bytes) forget(file);
  let resumed = false;
  let most = sizeOf(part);
  const report = (pause?: DownloadProgress['pause']) =>
    onDownload?.({ name: file.name, bytesDone: sizeOf(part), bytes, ...(pause && { pause }) });
  const onPause: OnPause = (reason, secondsLeft) => report({ reason, secondsLeft });
  const hasProgress = () => {
    const [before, found] = [most, sizeOf(part)];
    most = Math.max(before, found);
    return found > before;
  };
  const attempt = async (): Promise<void> => {
    const same = ifRange(version);
    // Of a file without a checksum, only the version says whether the rest belongs to this.
    if ((file.sha256 ?? file.gitOid ?? same) === undefined) forget(file);
    const start = sizeOf(part);
    resumed ||= start > 0;
    if (start > 0 && start === bytes) return;
    const response = await ask(file.url, {
      headers: {
        'accept-encoding': 'identity',
        ...(start > 0 && { range: `bytes=${start}-` }),
        ...(start > 0 && same !== undefined && { 'if-range': same }),
      },
    });
    const isRest = response.status === 206 && startOf(response) === start;
    if (!isRest && response.status !== 200) {
      await response.body?.cancel();
      if (start === 0 || (response.status !== 206 && response.status !== 416)) throw await refusal(file, response);
      forget(file); // what is there is not the start of what the server has now
      throw new BrokenError('the file has changed on the server');
    }
    refusePage(file, response);
    version = versionOf(response);
    if (!isRest) {
      bytes = file.bytes; // those of another version do not count
      writing(part, () => writeFileSync(aboutPart(file), JSON.stringify(version)));
    }
    const length = response.headers.get('content-length');
    const isPacked = !/^(identity)?$/.test(response.headers.get('content-encoding') ?? '');
    if (length !== null && !isPacked) bytes ??= Number(length) + (isRest ? start : 0);
    report();
    await append(response, part, { isRest, report });
    const found = sizeOf(part);
    if (bytes !== undefined && found < bytes)
      throw new BrokenError(`the connection ended after ${found} of ${bytes} bytes`);
  };
  await persistently(file.name, attempt, { onPause, hasProgress });
  const fault = await faultOf({ ...file, ...(bytes !== undefined && { bytes }) }, part);
  if (fault !== undefined) forget(file);
  return { version, resumed, fault };
}

/** The first byte of the part of a file that an answer holds. */
export function startOf({ headers }: Response): number {
  return Number(/^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1]);
}

/** Writes chunks as they arrive, so that a broken connection loses nothing. */
async function append(
  { body }: Response,
  path: string,
  { isRest, report }: { isRest: boolean; report: () => void },
): Promise<void> {
  const file = openSync(path, isRest ? 'a' : 'w');
  try {
    for await (const chunk of body ?? []) {
      writing(path, () => appendFileSync(file, chunk as Uint8Array));
      report();
    }
  } finally {
    closeSync(file);
  }
}

/** A web page instead of the file, from a site that asks for a login or lists its files. */
export function refusePage({ name }: RemoteFile, { headers }: Response): void {
  if (!/^text\/html\b/.test(headers.get('content-type') ?? '')) return;
  throw new DataError(`${name}: the server sent a web page instead of the file; give the address of the file itself`);
}

/** How a file differs from what was promised. */
async function faultOf(file: RemoteFile, path: string): Promise<string | undefined> {
  const found = sizeOf(path);
  if (file.bytes !== undefined && found !== file.bytes) return `has ${found} bytes instead of ${file.bytes}`;
  const [kind, expected] = file.sha256 !== undefined ? ['sha256', file.sha256] : ['sha1', file.gitOid];
  if (expected === undefined) return undefined;
  const hash = createHash(kind!);
  if (kind === 'sha1') hash.update(`blob ${found}\0`);
  await pipeline(createReadStream(path), hash);
  const sum = hash.digest('hex');
  return sum === expected
    ? undefined
    : `has the ${kind === 'sha1' ? 'SHA-1' : 'SHA-256'} ${sum} instead of ${expected}`;
}
