import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Command } from 'commander';
import { taperFolder } from '../machine/index.ts';

/** `taper-lm setup`: builds the native addon for this machine. */
export function setupCommand(): Command {
  return new Command('setup')
    .description('build the native addon for this machine, once; installs or downloads what is missing')
    .option('--yes', 'download libtorch without asking if there is none')
    .addHelpText('after', '\nExample:\n  npx taper-lm setup')
    .action(({ yes = false }: { yes?: boolean }) => {
      const env = { ...process.env, ...(yes && { TAPER_YES: '1' }) };
      const { status } = spawnSync(process.execPath, [join(taperFolder, 'setup/setup.mjs')], { stdio: 'inherit', env });
      process.exitCode = status ?? 1;
    });
}
