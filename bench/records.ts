import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** When and on what something was measured. */
export interface Measured {
  date: string;
  processor: string;
}

const root = fileURLToPath(new URL('../../docs/results/records', import.meta.url));

/** What was measured before, kept as small JSON files in a folder of docs/results/records. */
export class Records {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(root, folder);
  }

  get<T>(name: string): (T & Measured) | undefined {
    const path = this.#pathOf(name);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  keep<T extends object>(name: string, value: T): T & Measured {
    const processor = cpus()[0]?.model.trim() ?? 'unknown';
    const record = { ...value, date: new Date().toISOString().slice(0, 10), processor };
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(this.#pathOf(name), `${JSON.stringify(record)}\n`);
    return record;
  }

  #pathOf = (name: string) => join(this.#folder, `${name}.json`);
}
