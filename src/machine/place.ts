import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of taper itself. */
export const taperFolder = fileURLToPath(new URL('../../..', import.meta.url));

/** Whether that is a checkout of the source; npm leaves package-lock.json out of what it installs. */
export const isCheckout = existsSync(join(taperFolder, 'package-lock.json'));

/** Where the set-up writes down which addon it built last: in a checkout its own, else the user's. */
export function setupState({ XDG_CACHE_HOME, HOME = '' }: Readonly<Record<string, string | undefined>>): string {
  if (isCheckout) return join(taperFolder, 'build/setup.json');
  return join(XDG_CACHE_HOME || join(HOME, '.cache'), 'taper/addon.json');
}
