import type { Config } from '../config/index.ts';
import { ConfigError } from '../errors/index.ts';
import { startedWith } from '../errors/started-with.ts';
import { type MachineMemory, machineMemory } from '../machine/index.ts';
import { bytesText } from '../report/format.ts';
import { estimateMemory, fittingMicroBatch, fittingMicroBatches } from '../train/memory.ts';

/** An estimate this many times the memory of the machine cannot fit, however rough it is. */
const hopeless = 3;
/** The share of the available memory that advice fills, which leaves room for the error of the estimate. */
const filled = 0.8;

export interface MemoryOptions {
  /** The number of ranks, in total and on this machine. */
  ranks?: { size: number; localSize: number } | undefined;
  /** Whether a run is resumed, whose micro-batch cannot change. */
  resume?: boolean;
  machine?: MachineMemory;
  /** The arguments of this process. */
  command?: readonly string[];
}

/** The memory that training needs on this machine, and the machine's memory; on a GPU, the host's share only. */
function needOf(config: Config, { ranks, machine = machineMemory() }: MemoryOptions) {
  const { total, batches, program } = estimateMemory(config, ranks?.size);
  const each = config.train.device === 'cpu' ? total : batches + program;
  return { needed: each * (ranks?.localSize ?? 1), machine };
}

/** The memory that training needs, and on a CPU the memory that the machine has, as rows of text. */
export function memoryFacts(config: Config): [string, string][] {
  const { model, activations, batches, program, total } = estimateMemory(config);
  const { device } = config.train;
  const parts = `about ${bytesText(total)}: model ${bytesText(model)}, micro-batch ${bytesText(activations)}`;
  if (device !== 'cpu') return [['memory', `${parts}, on ${device}`]];
  const { machine } = needOf(config, {});
  return [
    ['memory', `${parts},`],
    ['', `Node.js, libtorch and the batches ${bytesText(program + batches)}`],
    ['memory here', `${bytesText(machine.available)} free of ${bytesText(machine.total)}`],
  ];
}

/** The estimated memory in a line; with several ranks, that of each. */
export function memoryNote(config: Config, ranks?: { size: number }): string {
  const { device } = config.train;
  const of = ranks ? ' of each rank' : '';
  const where = device === 'cpu' ? `; ${bytesText(machineMemory().available)} are free` : ` on ${device}`;
  return `estimated memory${of}: about ${bytesText(estimateMemory(config, ranks?.size).total)}${where}`;
}

/**
 * A warning if the free memory is too small for training, with the micro-batch that would fit.
 *
 * @throws ConfigError if the machine has far too little.
 */
export function checkMemory(config: Config, options: MemoryOptions = {}): string[] {
  const warning = memoryWarning(config, options);
  const { needed, machine } = needOf(config, options);
  if (warning !== undefined && needed > hopeless * machine.total) throw new ConfigError(warning);
  return warning === undefined ? [] : [warning];
}

/** The warning of `checkMemory`, without throwing. */
export function memoryWarning(config: Config, options: MemoryOptions = {}): string | undefined {
  const { needed, machine } = needOf(config, options);
  const { ranks, resume = false, command = process.argv.slice(1) } = options;
  if (needed <= machine.available) return undefined;
  const { microBatchSize } = config.train;
  const isThere =
    needed > machine.total ? `has ${bytesText(machine.total)}` : `has ${bytesText(machine.available)} free`;
  const what = `train.microBatchSize: ${microBatchSize} sequences per pass need about ${bytesText(needed)} of memory, but this machine ${isThere}: the system would kill the training`;
  if (resume) return `${what}; free some memory, or resume on a machine with more`;
  const share = (filled * machine.available) / (ranks?.localSize ?? 1);
  const size = config.train.device === 'cpu' ? fittingMicroBatch(config, share, ranks?.size) : undefined;
  if (size === undefined) return `${what}; lower train.batchSize, data.sequenceLength or the sizes of the model`;
  const advice = startedWith(['--set', `train.microBatchSize=${size}`], ranks ? [] : command);
  return `${what}; use a smaller micro-batch, which leaves the batch size unchanged: ${advice}`;
}

/** The micro-batch sizes that fit into this machine's memory, the largest first. */
export function microBatchesFor(config: Config, machine = machineMemory()): number[] {
  return config.train.device === 'cpu' ? fittingMicroBatches(config, filled * machine.available) : [];
}
