import { readFileSync } from 'node:fs';

/** What a file of the cache holds; undefined where it is missing or damaged: all of them can be made again. */
export function storedJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
