import { Command } from 'commander';
import { defaultCache } from '../data/cache.ts';
import { isHubName } from '../hub/names.ts';
import { jsonOption } from './config.ts';
import { downloadLine } from './download-line.ts';
import { checkNewFolder } from './files.ts';
import { warn } from './terminal.ts';

/** `taper-lm import`: makes a checkpoint from a Hugging Face model. */
export function importCommand(): Command {
  return new Command('import')
    .description('make a checkpoint from a Hugging Face model: modernbert, bert and its relatives, llama, qwen3, gpt2')
    .argument('<model>', 'hf:ORG/NAME[@revision], or a folder with config.json, model.safetensors and the tokenizer')
    .requiredOption('--out <checkpoint>', 'new folder for the checkpoint')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  npx taper-lm import hf:answerdotai/ModernBERT-base --out models/modernbert
  npx taper-lm import downloads/bert-base-uncased --out models/bert-base`,
    )
    .action(async (model: string, { out, json }: { out: string; json?: boolean }) => {
      const { importHuggingFace } = await import('../interop/index.ts');
      const found = isHubName(model) ? await fromHub(model, out) : undefined;
      importHuggingFace(found?.folder ?? model, out, warn);
      const name = found && { name: found.name };
      process.stdout.write(json ? `${JSON.stringify({ checkpoint: out, ...name })}\n` : `${out}\n`);
    });
}

async function fromHub(name: string, out: string): Promise<{ name: string; folder: string }> {
  checkNewFolder(out);
  const { fetchModel } = await import('../hub/index.ts');
  using downloads = downloadLine();
  return await fetchModel(name, { cacheDir: defaultCache, onDownload: downloads.show, onWarning: warn });
}
