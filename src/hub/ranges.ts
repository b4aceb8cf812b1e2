import { closeSync, existsSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Response } from 'undici';
import { DataError } from '../errors/index.ts';
import { replaceFile, writing } from '../files/index.ts';
import { ask, persistently } from './ask.ts';
import {
  aboutPart,
  type DownloadOptions,
  forget,
  ifRange,
  partOf,
  publish,
  type RemoteFile,
  refusePage,
  startOf,
  type Version,
  versionOf,
} from './download.ts';
import { refusal } from './refusal.ts';
import { storedJson } from './stored.ts';

/** Bytes that one request asks for at most, so that little is lost with a connection. */
const mostBytes = 2 ** 24;
/** Ranges with less between them are asked for together. */
const smallGap = 2 ** 17;

/** Bytes of a file, from `start` up to `end`. */
export interface Range {
  start: number;
  end: number;
}

/** A remote file whose ranges are downloaded into a sparse file of the same size. */
export interface SparseFile extends Disposable {
  bytes: number;
  /** What ties the ranges to one version of the file. */
  version: Version;
  /** Downloads a range, unless it is there, and reads it. */
  slice(start: number, end: number): Promise<ArrayBuffer>;
  /** Downloads ranges in large steps. */
  download(ranges: readonly Range[]): Promise<void>;
  /** Gives the file its name. */
  finish(): void;
  /** Removes what was downloaded. */
  discard(): void;
}

/**
 * Opens a file for ranges, by its last `tailBytes`; undefined if the server sends only whole files. What an earlier process downloaded
 * of the same version is kept.
 *
 * @throws DataError where the server refuses the file.
 */
export async function openSparse(
  file: RemoteFile,
  tailBytes: number,
  { onDownload }: DownloadOptions,
): Promise<SparseFile | undefined> {
  const part = partOf(file);
  const doneFile = aboutPart(file);
  let done: Range[] = [];
  let wanted = tailBytes;
  let bytes = 0;
  let version: Version = {};
  let descriptor: number | undefined;
  const report = (pause?: { reason: string; secondsLeft: number }) =>
    onDownload?.({
      name: file.name,
      bytesDone: size(done),
      bytes: Math.max(wanted, size(done)),
      ...(pause && { pause }),
    });
  const persist = { onPause: (reason: string, secondsLeft: number) => report({ reason, secondsLeft }) };

  const request = async (range: string): Promise<{ response: Response; data: Uint8Array }> => {
    const same = ifRange(version);
    const headers = { 'accept-encoding': 'identity', range, ...(same !== undefined && { 'if-range': same }) };
    const response = await ask(file.url, { headers });
    if (!response.ok) throw await refusal(file, response);
    refusePage(file, response);
    if (response.status !== 206) {
      await response.body?.cancel();
      return { response, data: new Uint8Array() };
    }
    return { response, data: new Uint8Array(await response.arrayBuffer()) };
  };
  const keep = (start: number, data: Uint8Array) => {
    writing(part, () => {
      for (let at = 0; at < data.length; ) at += writeSync(descriptor!, data, at, data.length - at, start + at);
    });
    done = merged([...done, { start, end: start + data.length }], 0);
    replaceFile(doneFile, JSON.stringify({ version, bytes, done }));
    report();
  };

  const { response, data } = await persistently(file.name, () => request(`bytes=-${tailBytes}`), persist);
  bytes = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);
  if (response.status !== 206 || !(bytes > 0)) return undefined;
  version = versionOf(response);
  const before = storedRanges(doneFile);
  const isSame =
    ifRange(version) !== undefined &&
    JSON.stringify([before?.version, before?.bytes]) === JSON.stringify([version, bytes]);
  if (isSame && existsSync(part)) done = before!.done;
  descriptor = openSync(part, isSame && existsSync(part) ? 'r+' : 'w+');
  try {
    ftruncateSync(descriptor, bytes);
    keep(startOf(response), data);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }

  const missing = ({ start, end }: Range) => without({ start, end }, done);
  const downloadOne = async ({ start, end }: Range) => {
    const { response: answer, data: some } = await persistently(
      file.name,
      () => request(`bytes=${start}-${end - 1}`),
      persist,
    );
    if (answer.status !== 206 || startOf(answer) !== start || some.length !== end - start)
      throw new DataError(`${file.name}: changed during the download; run the same command again`);
    keep(start, some);
  };
  const download = async (ranges: readonly Range[]) => {
    const asked = merged(ranges.flatMap(missing), smallGap).flatMap(pieces);
    wanted = size(done) + size(asked);
    for (const range of asked) await downloadOne(range);
  };
  return {
    bytes,
    version,
    download,
    async slice(start, end) {
      await download([{ start, end }]);
      const buffer = new Uint8Array(end - start);
      readSync(descriptor, buffer, 0, buffer.length, start);
      return buffer.buffer;
    },
    finish() {
      publish(file, version);
    },
    discard() {
      forget(file);
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

function storedRanges(path: string): { version: Version; bytes: number; done: Range[] } | undefined {
  return storedJson(path);
}

const size = (ranges: readonly Range[]) => ranges.reduce((sum, { start, end }) => sum + end - start, 0);

/** Ranges in their order, those together that lie at most `gap` apart. */
export function merged(ranges: readonly Range[], gap: number): Range[] {
  const result: Range[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && start - last.end <= gap) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

/** What of a range is in none of those that are there, which are in order and apart. */
function without({ start, end }: Range, there: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const each of there) {
    if (each.end <= start || each.start >= end) continue;
    if (each.start > start) result.push({ start, end: each.start });
    start = each.end;
  }
  return start < end ? [...result, { start, end }] : result;
}

function pieces({ start, end }: Range): Range[] {
  const count = Math.ceil((end - start) / mostBytes);
  return Array.from({ length: count }, (_, i) => ({
    start: start + i * mostBytes,
    end: Math.min(end, start + (i + 1) * mostBytes),
  }));
}
