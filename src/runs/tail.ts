import { open, stat } from 'node:fs/promises';

const chunkBytes = 4e6;
const lineBreak = 10;

/**
 * The lines of a growing file, each once and only complete ones. If the file was replaced by another one, or became shorter, it
 * is read from its beginning again.
 */
export class Tail {
  readonly #path: string;
  #offset = 0;
  #file = -1;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what is new since the last call: `onStart` is called if the file is read from its beginning, `onLine` with each line. */
  async read(onStart: () => void, onLine: (line: string) => void): Promise<void> {
    const found = await stat(this.#path).catch(() => undefined);
    if (!found?.isFile()) return;
    if (found.ino !== this.#file || found.size < this.#offset) {
      this.#file = found.ino;
      this.#offset = 0;
      onStart();
    }
    if (found.size === this.#offset) return;
    const file = await open(this.#path);
    try {
      let chunk = Buffer.alloc(Math.min(chunkBytes, found.size - this.#offset));
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, this.#offset);
        const end = chunk.subarray(0, bytesRead).lastIndexOf(lineBreak) + 1;
        if (end === 0) {
          if (bytesRead < chunk.length) return;
          chunk = Buffer.alloc(2 * chunk.length); // one line is longer than the buffer
          continue;
        }
        let start = 0;
        while (start < end) {
          const stop = chunk.indexOf(lineBreak, start);
          onLine(chunk.toString('utf8', start, stop));
          start = stop + 1;
        }
        this.#offset += end;
      }
    } finally {
      await file.close();
    }
  }
}
