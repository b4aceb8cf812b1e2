import type { MicroBatch } from '../data/index.ts';
import { drawGates, type Gate, openShare, partOfGate } from '../depth/index.ts';
import { headLosses, modelInputs, type ParameterSpec, type Pass, placesPerBlock } from '../model/index.ts';
import { updateParameters } from '../optimizers/index.ts';
import { drawSeed, Stream } from '../random/index.ts';
import { keep, scope, Tensor } from '../tensor/index.ts';
import { GradientSums } from './gradients.ts';
import { addBlocks } from './growth.ts';
import { shareUpdates } from './shards.ts';
import type { TrainingState } from './state.ts';

/** What one optimizer step did. */
export interface StepResult {
  /** tokenLoss + nspLoss */
  loss: number;
  /** Mean over the predicted tokens of the step, in nats. */
  tokenLoss: number;
  /** Mean over the sequences of the step; undefined without next-sentence prediction. */
  nspLoss: number | undefined;
  learningRate: number;
  /** Before clipping. */
  gradientNorm: number;
  theta: number;
  keepRates: readonly number[];
  /** The mean number of blocks that ran in a micro-batch; a block that ran on half its sequences counts one half. */
  depth: number;
  /** The number of blocks that ran in at least one micro-batch. */
  updatedBlocks: number;
  predictedTokens: number;
  /** Tokens without padding. */
  tokens: number;
  /** False when the loss or the gradient was not finite: then nothing was changed. */
  applied: boolean;
}

/** Options of one optimizer step. */
export interface StepOptions {
  /** The loss is multiplied by it before the backward pass, so that float16 gradients do not vanish; the gradients are divided by it. */
  lossScale?: number;
}

/** A step whose work up to the gradients is queued: a GPU is busy with it, and nothing waits for it yet. */
export interface BegunStep extends Disposable {
  /** Waits for the gradients and updates the weights. */
  finish(): StepResult;
}

/**
 * One optimizer step (counted from 0) over its micro-batches; every rank has its part of each. The loss is summed over the
 * predicted tokens of all micro-batches and ranks and divided by their number, the next-sentence loss likewise over sequences, so
 * the result does not depend on how the batch is split. A block that ran in no micro-batch has no gradient: clipping ignores it,
 * its weights and moments do not change (no weight decay either), and nothing is sent for it.
 */
export function trainStep(
  state: TrainingState,
  step: number,
  microBatches: readonly MicroBatch[],
  options?: StepOptions,
): StepResult {
  using begun = beginStep(state, step, microBatches, options);
  return begun.finish();
}

/** The first half of `trainStep`, up to the gradients: work between it and `finish` overlaps with the GPU's. */
export function beginStep(
  state: TrainingState,
  step: number,
  microBatches: readonly MicroBatch[],
  { lossScale = 1 }: StepOptions = {},
): BegunStep {
  const { config, depth, group } = state;
  const { theta, keepRates, branchScales, newBlocks } = depth(step);
  if (newBlocks) addBlocks(state, newBlocks);
  const { seed } = config.train;
  const { granularity } = config.depth;
  const [predictedTokens, sequences, tokens] = group.sum([
    total(microBatches, ({ predictedPositions }) => predictedPositions.length),
    total(microBatches, ({ numSequences }) => numSequences),
    total(microBatches, ({ documents }) => documents.flat().reduce((a, b) => a + b, 0)),
  ]) as [number, number, number];
  const wholes = microBatches.map((batch, microBatch) => {
    const sequences = batch.part?.of ?? batch.numSequences;
    return { sequences, gates: drawGates({ seed, step, microBatch, keepRates, granularity, sequences }) };
  });
  const passes = microBatches.map((batch, microBatch): Pass => {
    const { gates } = wholes[microBatch]!;
    const dropoutSeed = dropoutSeeds(seed, step, microBatch);
    return { ...passOfPart(gates, batch), branchScales, dropoutSeed };
  });
  const lastRuns = keepRates.map((_, l) => wholes.findLastIndex(({ gates }) => gates[l] !== false));

  const gradients = new GradientSums(group, config.train.device);
  const losses = new Losses();
  const free = () => {
    gradients[Symbol.dispose]();
    losses[Symbol.dispose]();
  };
  const sums = { gradients, losses, lastRuns, predictedTokens, sequences, lossScale };
  try {
    accumulate(state, microBatches, passes, sums);
  } catch (error) {
    free();
    throw error;
  }
  const finish = (): StepResult => {
    const { loss, nspLoss, tokenLoss, ...updated } = update(state, step, sums);
    return {
      loss,
      tokenLoss,
      nspLoss,
      ...updated,
      theta,
      keepRates,
      depth: total(wholes, (whole) => total(whole.gates, (gate) => openShare(gate, whole.sequences))) / wholes.length,
      updatedBlocks: lastRuns.filter((last) => last >= 0).length,
      predictedTokens,
      tokens,
    };
  };
  return { finish, [Symbol.dispose]: free };
}

/** The second half: waits for the gradients, clips them and updates the parameters that have one. */
function update(
  state: TrainingState,
  step: number,
  { gradients, losses, lastRuns, lossScale }: Sums,
): Pick<StepResult, 'loss' | 'tokenLoss' | 'nspLoss' | 'learningRate' | 'gradientNorm' | 'applied'> {
  const { config, group } = state;
  const mine = gradients.finish(); // on several GPUs this waits for the backward pass
  using norm = Tensor.globalNorm([...mine.values()]);
  // The only numbers of a step that anything waits for.
  const ownNorm = norm.item() / lossScale;
  const own = losses.read();
  const [tokenLoss, nspLoss] = group.sum([own.token, own.nsp ?? 0]) as [number, number];
  const loss = tokenLoss + nspLoss;
  const learningRate = state.learningRate(step);
  const gradientNorm = state.owners ? Math.sqrt(group.sum([ownNorm ** 2])[0]!) : ownNorm;
  const applied = updateParameters(config.train, state, mine, { loss, learningRate, gradientNorm, lossScale });
  const { blocks, outer } = state.parts;
  if (applied) shareUpdates(state, [...blocks.filter((_, l) => lastRuns[l]! >= 0), outer]);
  return { loss, tokenLoss, nspLoss: own.nsp === undefined ? undefined : nspLoss, learningRate, gradientNorm, applied };
}

/** The gates of a whole micro-batch, for this rank's part of it. */
function passOfPart(gates: readonly Gate[], { numSequences, part }: MicroBatch): Pick<Pass, 'gates' | 'firstRow'> {
  if (part === undefined) return { gates };
  const { first } = part;
  const rowsBefore = (gate: Gate | undefined) =>
    Array.isArray(gate) ? gate.filter((row) => row < first).length : first;
  return {
    gates: gates.map((gate) => partOfGate(gate, first, numSequences)),
    firstRow: (block) => rowsBefore(gates[block]),
  };
}

/** Sums over a step's micro-batches. */
interface Sums {
  gradients: GradientSums;
  losses: Losses;
  /** For each block, the last micro-batch in which any rank runs it, or −1. */
  lastRuns: readonly number[];
  /** Of the whole step, on all ranks. */
  predictedTokens: number;
  sequences: number;
  lossScale: number;
}

/** The losses of a step's micro-batches; they stay on the device until they are read. */
class Losses implements Disposable {
  readonly #token: Tensor[] = [];
  readonly #nsp: Tensor[] = [];

  add(token: Tensor, nsp: Tensor | undefined): void {
    this.#token.push(keep(token));
    if (nsp) this.#nsp.push(keep(nsp));
  }
  /** Their sums; there may be no next-sentence losses. */
  read(): { token: number; nsp: number | undefined } {
    const sum = (losses: readonly Tensor[]) => total(losses, (loss) => loss.item());
    return { token: sum(this.#token), nsp: this.#nsp.length > 0 ? sum(this.#nsp) : undefined };
  }
  [Symbol.dispose](): void {
    for (const loss of [...this.#token, ...this.#nsp]) loss.free();
  }
}

/**
 * Forward and backward over the micro-batches: this rank's share of the mean losses, and its gradients. These are sent to the
 * other ranks block by block, while the backward pass works on the blocks below.
 */
function accumulate(
  { model, config, parts, masters, owners }: TrainingState,
  microBatches: readonly MicroBatch[],
  passes: readonly Pass[],
  { gradients, losses, lastRuns, predictedTokens, sequences, lossScale }: Sums,
): void {
  const leaves = (specs: readonly ParameterSpec[]) => specs.map(({ name }) => masters.get(name)!);
  const ownerOf = ([spec]: readonly ParameterSpec[]) => owners?.get(spec!.name);
  microBatches.forEach((batch, i) => {
    scope(() => {
      const stream = model.residualStream(modelInputs(batch, config.train.device), passes[i]);
      // The heads start from a leaf; otherwise the gradient of the embeddings that they share would flow all the way down at once.
      const top = stream.at(-1)!.detach().requiresGrad();
      const { tokenSum, nspSum } = headLosses(model, model.finalNorm(top), batch);
      const tokenLoss = tokenSum.mul(1 / Math.max(1, predictedTokens));
      const nspLoss = nspSum?.mul(1 / sequences);
      losses.add(tokenLoss, nspLoss);
      const loss = nspLoss ? tokenLoss.add(nspLoss) : tokenLoss;

      /** Returns the gradient of the input of a part of the model; those of its parameters are added up. */
      const backward = (specs: readonly ParameterSpec[], input: Tensor[], y: Tensor, gradient?: Tensor) => {
        const found = y.grad([...input, ...leaves(specs)], gradient);
        gradients.add(specs, found.slice(input.length));
        return found[0]!;
      };
      let above = backward(parts.outer, [top], lossScale === 1 ? loss : loss.mul(lossScale));
      for (let l = parts.blocks.length - 1; l >= 0; l--) {
        const [input, output] = [stream[l]!, stream[l + 1]!];
        if (input !== output) above = backward(parts.blocks[l]!, [input], output, above);
        if (lastRuns[l] === i) gradients.send(parts.blocks[l]!, ownerOf(parts.blocks[l]!));
      }
      backward(parts.outer, [], stream[0]!, above);
      if (i === microBatches.length - 1)
        gradients.send(
          parts.outer.filter((spec) => gradients.has(spec)),
          ownerOf(parts.outer),
        );
    });
  });
}

function total<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}

/** A dropout seed for each place in the model: a pure function of (seed, step, micro-batch, block, place). */
export function dropoutSeeds(seed: number, step: number, microBatch: number): NonNullable<Pass['dropoutSeed']> {
  return (block, place) => drawSeed([step, microBatch, block * placesPerBlock + place, Stream.dropout], seed);
}
