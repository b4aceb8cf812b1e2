import { Command, Option } from 'commander';
import { ConfigError } from '../errors/index.ts';
import type { OutgoingModel } from '../interop/index.ts';
import { dataOption, givenIn, jsonOption } from './config.ts';
import { checkNewFolder } from './files.ts';
import { openHeldOut } from './held-out.ts';
import { countOf } from './numbers.ts';
import { warn } from './terminal.ts';

interface ExportOptions {
  to: keyof typeof forms;
  out: string;
  encoderOnly?: boolean;
  blocks?: number;
  choose: 'lesion' | 'evenly';
  data?: string[];
  limit: number;
  json?: boolean;
}

type Interop = typeof import('../interop/index.ts');
type Next = typeof import('./export-next.ts');

/** The export formats, their writers, and what tells how to use them. */
const forms = {
  hf: { writer: (interop: Interop) => interop.exportHuggingFace, next: (next: Next) => next.huggingFaceNext },
  onnx: { writer: (interop: Interop) => interop.exportOnnx, next: (next: Next) => next.onnxNext },
  gguf: { writer: (interop: Interop) => interop.exportGguf, next: (next: Next) => next.ggufNext },
};

/** The effect of removing blocks. */
interface Shortened {
  /** The blocks that were kept; the lowest is 1. */
  kept: number[];
  /** Held-out loss in nats, with all blocks and with the kept ones. */
  loss: number;
  lossShortened: number;
}

/** `taper-lm export`: writes a model for other programs. */
export function exportCommand(): Command {
  return new Command('export')
    .description('write a model for other programs: Hugging Face transformers, ONNX, or llama.cpp')
    .argument('<checkpoint>', 'checkpoint folder, or a run (its newest)')
    .addOption(
      new Option('--to <form>', 'format: for transformers, ONNX runtimes or llama.cpp')
        .choices(Object.keys(forms))
        .makeOptionMandatory(),
    )
    .requiredOption('--out <dir>', 'new folder')
    .option('--encoder-only', 'without heads: the model returns hidden states, for embeddings')
    .option('--blocks <n>', 'keep only n blocks, for a smaller and faster model; needs --data', countOf('--blocks'))
    .addOption(
      new Option(
        '--choose <how>',
        'which blocks to keep: those whose removal raises the loss most, or evenly spaced ones',
      )
        .choices(['lesion', 'evenly'])
        .default('lesion'),
    )
    .addOption(dataOption())
    .option('--limit <n>', 'maximum number of sequences of --data', countOf('--limit'), 128)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx taper-lm export runs/bert-mini --to hf --out exported')
    .action(run);
}

async function run(path: string, options: ExportOptions, command: Command): Promise<void> {
  const ofBlocks = ['data', 'limit', 'choose'].find((name) => givenIn(command).includes(name));
  if (options.blocks === undefined && ofBlocks !== undefined)
    throw new ConfigError(`--${ofBlocks}: works only with --blocks; leave it out`);
  checkNewFolder(options.out);
  const interop = await import('../interop/index.ts');
  let model = interop.openOutgoing(path, warn);
  let shortened: Shortened | undefined;
  if (options.blocks !== undefined) [model, shortened] = await shorten(path, model, options, options.blocks);
  const { writer, next } = forms[options.to];
  const how = { encoderOnly: options.encoderOnly ?? false, warn };
  const bytes = writer(interop)(model, options.out, how);
  const uses = next(await import('./export-next.ts'))(model, options.out, how);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ out: options.out, ...shortened, ...(bytes && { bytes }) })}\n`);
  else process.stdout.write(`${shortened ? shortenedText(shortened) : ''}${options.out}\n${uses}`);
}

async function shorten(
  path: string,
  model: OutgoingModel,
  { choose, data, limit }: ExportOptions,
  count: number,
): Promise<[OutgoingModel, Shortened]> {
  const { evenly, leastHarmful, runnable, withBlocks } = await import('../interop/index.ts');
  const { lesions } = await import('../analysis/index.ts');
  const { evaluate } = await import('../inference/index.ts');
  const { layers } = model.config;
  if (count > layers) throw new ConfigError(`--blocks ${count}: the model has ${layers} blocks; give fewer`);
  if (data === undefined) {
    throw new ConfigError('--blocks: needs held-out text to measure the loss; give --data my/other-texts');
  }
  using heldOut = await openHeldOut(path, { data, limit, device: 'cpu' });
  const batches = [...heldOut.batches()];
  const { loss, withoutBlock } = lesions(heldOut.model, batches, 'cpu');
  const kept = choose === 'evenly' ? evenly(layers, count) : leastHarmful(withoutBlock, count);
  const left = withBlocks(model, kept);
  const lossShortened = evaluate(runnable(left), batches, 'cpu').loss;
  return [
    { ...left, lossWithAll: loss, loss: lossShortened },
    { kept: kept.map((l) => l + 1), loss, lossShortened },
  ];
}

function shortenedText({ kept, loss, lossShortened }: Shortened): string {
  const nats = (value: number) => value.toFixed(4);
  return (
    `blocks kept    ${kept.join(', ')}\n` +
    `held-out loss  ${nats(loss)} → ${nats(lossShortened)} (${nats(lossShortened - loss)} more)\n`
  );
}
