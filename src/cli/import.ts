import { Command } from 'commander';
import { jsonOption } from './config.ts';
import { warn } from './terminal.ts';

/** `taper-lm import`: a model of Hugging Face as a checkpoint. */
export function importCommand(): Command {
  return new Command('import')
    .description('make a checkpoint of a Hugging Face folder: modernbert, bert and its relatives, llama, qwen3, gpt2')
    .argument('<folder>', 'folder with config.json, model.safetensors and the tokenizer')
    .requiredOption('--out <checkpoint>', 'new folder for the checkpoint')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm import downloads/bert-base-uncased --out models/bert-base')
    .action(async (folder: string, { out, json }: { out: string; json?: boolean }) => {
      const { importHuggingFace } = await import('../interop/index.ts');
      importHuggingFace(folder, out, warn);
      process.stdout.write(json ? `${JSON.stringify({ checkpoint: out })}\n` : `${out}\n`);
    });
}
