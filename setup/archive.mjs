// A libtorch for machines without one: PyTorch's CPU build, downloaded once into the user's cache. It needs neither root
// nor Python. The file is a wheel, which is a zip.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { glibcVersion, SetupFailure, say } from './shell.mjs';

/** The pinned file of each platform; it needs `glibc` or newer. */
const pinned = {
  'linux-x64': {
    url: 'https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl',
    sha256: '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
    glibc: '2.28',
  },
};
const downloadMegabytes = 190;
const unpackedMegabytes = 480;
const numFruitlessTries = 3;
const again = 'run the same command again';
const elsewhere = 'set XDG_CACHE_HOME to another folder permanently';

/**
 * The archive for this machine: `url`, `sha256`, `folder` (of the unpacked libtorch) and `file` (the downloaded archive);
 * or `obstacle`, the reason why there is none. TAPER_LIBTORCH_URL and TAPER_LIBTORCH_SHA256 override it.
 */
export function findArchive(environment = process.env, platform = `${process.platform}-${process.arch}`) {
  const cache = cacheFolder(environment);
  if (!cache) return { obstacle: 'neither XDG_CACHE_HOME nor HOME is set' };
  const { TAPER_LIBTORCH_URL, TAPER_LIBTORCH_SHA256 } = environment;
  const url = TAPER_LIBTORCH_URL || pinned[platform]?.url;
  const sha256 = (TAPER_LIBTORCH_URL && TAPER_LIBTORCH_SHA256) || pinned[platform]?.sha256;
  if (!url) return { obstacle: `there is no libtorch to download for ${platform}` };
  if (!sha256) return { obstacle: `on ${platform}, TAPER_LIBTORCH_URL also needs TAPER_LIBTORCH_SHA256` };
  if (!URL.canParse(url)) return { obstacle: `TAPER_LIBTORCH_URL=${url} is not a URL` };
  const name = decodeURIComponent(new URL(url).pathname).split('/').at(-1) || 'libtorch.zip';
  return { url, sha256, folder: join(cache, `libtorch-${platform}-${sha256.slice(0, 12)}`), file: join(cache, name) };
}

/** The folder for taper's downloads, or undefined. */
export function cacheFolder({ XDG_CACHE_HOME, HOME }) {
  const folder = XDG_CACHE_HOME || (HOME && join(HOME, '.cache'));
  return folder && join(folder, 'taper');
}

/** The reason why the pinned archive does not run here, or undefined. */
export function archiveObstacle({ sha256 }, glibc = glibcVersion()) {
  const needed = Object.values(pinned).find((archive) => archive.sha256 === sha256)?.glibc;
  if (!needed || (glibc && glibc.localeCompare(needed, 'en', { numeric: true }) >= 0)) return undefined;
  return `the libtorch to download needs glibc ${needed} or newer, but this system has ${glibc || 'another C library'}`;
}

/** Whether the user agrees to the download: asks on a terminal, else yes. */
export function agrees({ file }, environment = process.env) {
  if (environment.TAPER_YES || !isatty(0) || !isatty(2)) return true;
  const cost = `${downloadMegabytes} MB, ${unpackedMegabytes} MB unpacked`;
  process.stderr.write(`setup: libtorch was not found; download the CPU version to ${dirname(file)} (${cost})? [Y/n] `);
  // `process.stdin` would have to be closed again, and would take CTRL-C for an answer.
  const answer = Buffer.alloc(100);
  const numBytes = readSync(0, answer);
  return numBytes > 0 && !/^\s*n/i.test(answer.toString('utf8', 0, numBytes));
}

/**
 * Downloads and unpacks an archive, completely or not at all. An interrupted download resumes where it stopped.
 * Throws a `SetupFailure` (exit code 2) that says how to fix it.
 */
export async function provideArchive({ url, sha256, folder, file }, pauseMs = 2000) {
  if (existsSync(folder)) return;
  const cache = dirname(file);
  try {
    mkdirSync(cache, { recursive: true });
    if (!existsSync(file)) {
      say(`downloading libtorch for CPUs from ${url} to ${cache}`);
      await download(url, file, pauseMs);
    }
    await check(url, sha256, file);
    say('unpacking libtorch');
    await unpack(file, folder);
    rmSync(file);
  } catch (error) {
    if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
      const room = `libtorch needs ${unpackedMegabytes} MB there, and ${downloadMegabytes} MB more until it is unpacked`;
      throw new SetupFailure(
        `setup: no space left in ${cache}: ${room}; free some space, or ${elsewhere}, and ${again}`,
        2,
      );
    }
    if (error.syscall) throw new SetupFailure(`setup: ${error.message}; ${elsewhere}, and ${again}`, 2);
    throw error;
  }
}

/** Downloads `url` to `file`, via `file.part`. */
async function download(url, file, pauseMs) {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({ bodyTimeout: 60_000 });
  const part = `${file}.part`;
  let isAnswered = false;
  let numFruitless = 0;
  for (;;) {
    const start = sizeOf(part);
    try {
      const range = start > 0 ? { range: `bytes=${start}-` } : {};
      const response = await fetch(url, { dispatcher, headers: { 'accept-encoding': 'identity', ...range } });
      if (response.status === 416) {
        // Either the file was complete, or it is a part of another file; the checksum tells.
        await response.body?.cancel();
        break;
      }
      if (!response.ok) throw new SetupFailure(refusal(url, file, `the server answered ${response.status}`), 2);
      isAnswered = true;
      const resumes = response.status === 206;
      const expected = Number(response.headers.get('content-length')) + (resumes ? start : 0);
      await append(response.body, part, {
        flags: resumes ? 'a' : 'w',
        received: progressReport(resumes ? start : 0, expected),
      });
      break;
    } catch (error) {
      if (error instanceof SetupFailure) throw error;
      if (error.syscall) throw error; // a file error; network errors are TypeErrors
      numFruitless = sizeOf(part) > start ? 0 : numFruitless + 1;
      if (!isAnswered || numFruitless > numFruitlessTries) {
        throw new SetupFailure(refusal(url, file, error.cause?.message || error.message), 2);
      }
      await setTimeout(pauseMs);
    }
  }
  await dispatcher.destroy();
  renameSync(part, file);
}

/** Writes each chunk as it arrives, so that a lost connection loses nothing. */
async function append(body, path, { flags, received }) {
  const file = openSync(path, flags);
  try {
    for await (const chunk of body) {
      appendFileSync(file, chunk);
      received(chunk.length);
    }
  } finally {
    closeSync(file);
  }
}

function sizeOf(file) {
  return existsSync(file) ? statSync(file).size : 0;
}

/** A function that is called with received bytes and prints progress: in place on a terminal, else at each quarter. */
function progressReport(start, total) {
  let received = start;
  let quarter = Math.floor((4 * start) / total);
  const text = () => `${Math.round(received / 1e6)}${total > 0 ? ` of ${Math.round(total / 1e6)}` : ''} MB`;
  return (numBytes) => {
    const before = Math.floor(received / 1e6);
    received += numBytes;
    if (process.stderr.isTTY) {
      if (Math.floor(received / 1e6) > before || received === total) {
        process.stderr.write(`\rsetup: ${text()}${received === total ? '\n' : ''}`);
      }
    } else if (Math.floor((4 * received) / total) > quarter) {
      quarter = Math.floor((4 * received) / total);
      say(text());
    }
  };
}

/** Removes the file and throws if its checksum is wrong. */
async function check(url, sha256, file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const found = hash.digest('hex');
  if (found === sha256) return;
  rmSync(file);
  throw new SetupFailure(
    `setup: ${file} had SHA-256 ${found}, but ${sha256} was expected, and was removed; ${again}; if that does not help, ` +
      `something between here and ${url} changes the file: set TAPER_LIBTORCH_URL to another mirror`,
    2,
  );
}

/** Unpacks the parts of an archive that a build needs, without the Python files and libtorch's own tests. */
async function unpack(file, folder) {
  const { openPromise } = await import('yauzl');
  const temporary = `${folder}.part`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    const zip = await openPromise(file);
    for await (const entry of zip.eachEntry()) {
      const inside = /^(?:lib)?torch\/((?:lib|include|share\/cmake)\/.+[^/])$/.exec(entry.fileName)?.[1];
      if (!inside || /^lib\/.*(python|test)\.so$/.test(inside)) continue;
      const path = join(temporary, inside);
      mkdirSync(dirname(path), { recursive: true });
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path));
    }
    if (!existsSync(join(temporary, 'share/cmake/Torch/TorchConfig.cmake'))) {
      throw new SetupFailure(
        `setup: ${file} is not a libtorch archive: it has no torch/share/cmake/Torch/TorchConfig.cmake`,
        2,
      );
    }
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function refusal(url, file, reason) {
  return (
    `setup: libtorch could not be downloaded (${reason}); ${again} to resume the download, set TAPER_LIBTORCH_URL ` +
    `to a mirror, or download ${url} to ${file} by hand`
  );
}
