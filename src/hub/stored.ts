import { readFileSync } from 'node:fs';

/** The JSON in a cache file; undefined if it is missing or damaged (every cache file can be rebuilt). */
export function storedJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
