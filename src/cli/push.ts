import { readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { Command } from 'commander';
import { kindOf } from '../checkpoints/index.ts';
import { CheckpointError, commandText } from '../errors/index.ts';
import type { LocalFile } from '../hub/index.ts';
import { jsonOption } from './config.ts';

/** `taper-lm push`: uploads an export to the Hugging Face Hub. */
export function pushCommand(): Command {
  return new Command('push')
    .description('upload an export with its model card to the Hugging Face Hub')
    .argument('<folder>', 'folder that `export` wrote')
    .argument('<name>', 'hf:ORG/NAME; created if missing')
    .option('--private', 'create a private repository')
    .option('--message <text>', 'commit message', 'Upload a model trained with taper')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nIt uses the token in HF_TOKEN, or the one stored by `hf auth login`.\n\nExample:\n  npx taper-lm push exported hf:my-org/my-model --private',
    )
    .action(run);
}

interface PushCommandOptions {
  private?: boolean;
  message: string;
  json?: boolean;
}

async function run(folder: string, name: string, options: PushCommandOptions): Promise<void> {
  const files = exportedFiles(folder);
  const { parseHubName, push } = await import('../hub/index.ts');
  const hubName = parseHubName(name, 'model');
  const pushed = await push(hubName, files, {
    message: options.message,
    isPrivate: options.private ?? false,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(options.json ? `${JSON.stringify(pushed)}\n` : `${pushed.url}\n`);
}

/** The model file of an export, in any of its formats. */
const model = /^(model\.safetensors|onnx\/.+\.onnx|.+\.gguf)$/;

/** All files of an export except hidden ones. */
function exportedFiles(folder: string): LocalFile[] {
  const advices: Partial<Record<ReturnType<typeof kindOf>, string>> = {
    run: `is a run; export it first: ${exportCommand(folder)}`,
    checkpoint: `is a checkpoint; export it first: ${exportCommand(folder)}`,
    nothing: 'no such folder; give one that npx taper-lm export wrote',
    file: 'is a file; give the folder that npx taper-lm export wrote',
  };
  const advice = advices[kindOf(folder)];
  if (advice !== undefined) throw new CheckpointError(`${folder}: ${advice}`);
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(sep).some((part) => part.startsWith('.')))
    .map((path) => path.split(sep).join('/'))
    .sort();
  for (const [what, isThere] of [
    ['no README.md', paths.includes('README.md')],
    ['no model.safetensors, onnx/*.onnx or *.gguf', paths.some((path) => model.test(path))],
  ] as const) {
    if (!isThere) throw new CheckpointError(`${folder}: has ${what}; give a folder that npx taper-lm export wrote`);
  }
  return paths.map((as) => {
    const path = join(folder, as);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile())
      throw new CheckpointError(
        `${path}: is neither a file nor a link to one; remove it, or replace it with the file itself`,
      );
    return { path, as };
  });
}

function exportCommand(folder: string): string {
  return commandText(['npx', 'taper-lm', 'export', folder, '--to', 'hf', '--out', 'exported']);
}
