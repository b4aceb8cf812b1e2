import { Command } from 'commander';
import { objectives } from '../data/index.ts';
import { counted } from '../errors/index.ts';
import { percent, rounded } from '../report/format.ts';
import { dataOption, deviceOption, jsonOption } from './config.ts';
import { openHeldOut } from './held-out.ts';
import { countOf } from './numbers.ts';

interface EvalOptions {
  data?: string[];
  limit: number;
  device: string;
  json?: boolean;
}

/** `taper-lm eval`: measures how well a model predicts a text. */
export function evalCommand(): Command {
  return new Command('eval')
    .description('measure how well a model predicts the masked or next tokens of a text')
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .addOption(dataOption("; default: the run's own held-out text"))
    .option('--limit <n>', 'maximum number of sequences', countOf('--limit'), 512)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  npx taper-lm eval runs/bert-mini\n  npx taper-lm eval runs/bert-mini --data my/other-texts',
    )
    .action(run);
}

async function run(path: string, options: EvalOptions): Promise<void> {
  const { evaluate, evaluationNumbers, predictsNothing } = await import('../inference/index.ts');
  using heldOut = await openHeldOut(path, options);
  const { checkpoint, model, device, sequences } = heldOut;
  const { objective } = checkpoint.config.data;
  const evaluation = evaluate(model, heldOut.batches(), device);
  const { loss, tokenLoss, tokenAccuracy, perplexity, tokens } = evaluation;
  if (!Number.isFinite(loss)) throw predictsNothing(checkpoint);
  const { step } = checkpoint.progress;
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ checkpoint: checkpoint.path, step, text: options.data ?? null, sequences, ...evaluationNumbers(objective, evaluation) })}\n`,
    );
    return;
  }
  process.stdout.write(
    `loss        ${loss.toFixed(4)}\n${objectives[objective].loss} loss    ${tokenLoss.toFixed(4)}\nperplexity  ${rounded(perplexity)}\n` +
      `accuracy    ${percent(tokenAccuracy)} of ${counted(tokens, objectives[objective].predictedToken)} in ${counted(sequences, 'sequence')}\ntext        ${options.data?.join(', ') ?? "the run's own held-out text"}\n`,
  );
}
