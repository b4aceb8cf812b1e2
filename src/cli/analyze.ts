import { Command } from 'commander';
import type { GradientFlow, Lesions, Similarity } from '../analysis/index.ts';
import { counted } from '../errors/index.ts';
import { table } from '../report/format.ts';
import { dataOption, deviceOption, jsonOption } from './config.ts';
import { prepareFolder, writeFiles } from './files.ts';
import { openHeldOut } from './held-out.ts';
import { countOf } from './numbers.ts';

interface AnalyzeOptions {
  data: string[];
  out: string;
  limit: number;
  device: string;
  json?: boolean;
}

/** The measurements of `taper-lm analyze` on a checkpoint. */
interface Analysis extends GradientFlow, Lesions, Similarity {
  checkpoint: string;
  step: number;
  sequences: number;
}

/** `taper-lm analyze`: measures what each block does in a trained model. */
export function analyzeCommand(): Command {
  return new Command('analyze')
    .description(
      'measure each block: its gradient norm, the loss without it, and how far it moves the hidden state of a token',
    )
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .addOption(dataOption().makeOptionMandatory())
    .requiredOption('--out <dir>', 'folder for the figures (SVG) and the numbers (JSON)')
    .option('--limit <n>', 'maximum number of sequences', countOf('--limit'), 128)
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm analyze runs/bert-mini --data my/other-texts --out analysis')
    .action(run);
}

async function run(path: string, options: AnalyzeOptions): Promise<void> {
  prepareFolder(options.out);
  const { gradientFlow, lesions, similarity } = await import('../analysis/index.ts');
  using heldOut = await openHeldOut(path, options);
  const { checkpoint, model, device, sequences } = heldOut;
  const batches = [...heldOut.batches()];
  const analysis: Analysis = {
    checkpoint: checkpoint.path,
    step: checkpoint.progress.step,
    sequences,
    ...gradientFlow(model, batches, device),
    ...lesions(model, batches, device),
    ...similarity(model, batches, device),
  };
  writeFiles(options.out, { ...(await figures(analysis)), 'analysis.json': `${JSON.stringify(analysis, null, 2)}\n` });
  process.stdout.write(options.json ? `${JSON.stringify(analysis)}\n` : analysisText(analysis));
}

/** The figures, by file name. */
async function figures(analysis: Analysis): Promise<Record<string, string>> {
  const { lineChart } = await import('../report/index.ts');
  const byBlock = (values: readonly number[]) => values.map((value, l) => [l + 1, value] as const);
  const chart = (title: string, yLabel: string, series: Record<string, readonly number[]>, fromZero = true) =>
    lineChart({
      title,
      xLabel: fromZero ? 'block' : 'block, or number of blocks',
      yLabel,
      isWhole: true,
      fromZero,
      series: Object.entries(series).map(([name, values]) => ({ name, points: byBlock(values) })),
    });
  const { parameterNorms, normRatios, loss, withoutBlock, withoutLast, distances, angles } = analysis;
  const whole = withoutBlock.map(() => loss);
  return {
    'gradient-norms.svg': chart("Norm of the gradient of each block's parameters", '‖∂L/∂W‖', { norm: parameterNorms }),
    'norm-ratios.svg': chart(
      'Ratio of the gradient norms before and after each block',
      '‖∂L/∂x‖ before / after the block',
      {
        ratio: normRatios,
      },
    ),
    'lesions.svg': chart(
      'Held-out loss without blocks',
      'loss, nats',
      { 'without this block': withoutBlock, 'without the last n blocks': withoutLast, 'full model': whole },
      false,
    ),
    'distances.svg': chart("Distance between a block's input and output", '‖y − x‖', { distance: distances }),
    'angles.svg': chart("Angle between a block's input and output", 'degrees', { angle: angles }),
  };
}

function analysisText(analysis: Analysis): string {
  const { loss, parameterNorms, normRatios, withoutBlock, withoutLast, distances, angles, sequences } = analysis;
  const number = (value: number) => String(Number(value.toPrecision(4)));
  const rows = parameterNorms.map((norm, l) => [
    String(l + 1),
    ...[norm, normRatios[l]!].map(number),
    ...[withoutBlock[l]!, withoutLast[l]!].map((lesioned) => lesioned.toFixed(4)),
    ...[distances[l]!, angles[l]!].map(number),
  ]);
  const head = ['block', 'gradient', 'ratio', 'loss without it', 'loss without the last n', 'distance', 'angle °'];
  return `held-out loss ${loss.toFixed(4)} on ${counted(sequences, 'sequence')}\n\n${table([head, ...rows])}`;
}
