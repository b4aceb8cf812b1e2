import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfigFile } from '../src/config/index.ts';
import { replaceFile } from '../src/files/index.ts';

/** When and on what something was measured. */
export interface Measured {
  date: string;
  processor: string;
}

export function measuredHere(): Measured {
  return { date: new Date().toISOString().slice(0, 10), processor: cpus()[0]?.model.trim() ?? 'unknown' };
}

/** What was measured, and the recipe that it was made with. */
type Kept<T> = T & Measured & { recipe: string };

const root = fileURLToPath(new URL('../../docs/results/records', import.meta.url));

/** Tells apart what results depend on, so that those of an earlier recipe are not taken for those of this one. */
export function recipeFrom(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
}

/** The recipe of a config file with settings. */
export function recipeOf(file: string, sets: readonly string[]): string {
  return recipeFrom([readConfigFile(file), sets]);
}

/** What was measured before, kept as small JSON files in a folder of docs/results/records. */
export class Records {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(root, folder);
  }

  /** The record of that name, if it was made with this recipe. */
  get<T>(name: string, recipe: string): Kept<T> | undefined {
    const path = this.#pathOf(name);
    if (!existsSync(path)) return undefined;
    const record = JSON.parse(readFileSync(path, 'utf8')) as Kept<T>;
    return record.recipe === recipe ? record : undefined;
  }

  keep<T extends object>(name: string, recipe: string, value: T): Kept<T> {
    const record = { recipe, ...value, ...measuredHere() };
    mkdirSync(this.#folder, { recursive: true });
    replaceFile(this.#pathOf(name), `${JSON.stringify(record)}\n`);
    return record;
  }

  #pathOf = (name: string) => join(this.#folder, `${name}.json`);
}
