import type { NewBlock } from '../depth/index.ts';
import { familyOf, initialParameter } from '../model/index.ts';
import { withPartOfOptimizer } from './shards.ts';
import type { TrainingState } from './state.ts';

/** Initialises new blocks: a pure function of the state, the same on every rank. All ranks take part. */
export function addBlocks(state: TrainingState, newBlocks: readonly NewBlock[]): void {
  for (const { block, copyOf, copiesMoments = false } of newBlocks) {
    if (copyOf === undefined) startBlock(state, block);
    else copyBlock(state, block, copyOf, copiesMoments);
  }
}

/** Initialises a block from the seed. */
function startBlock({ config: { train }, specs, parts, masters }: TrainingState, block: number): void {
  for (const spec of parts.blocks[block]!) {
    using start = initialParameter(spec, specs.indexOf(spec), train);
    masters.get(spec.name)!.copy_(start);
  }
}

/** Copies another block. A parameter that the other block lacks stays as it is: ModernBERT's first block lacks a norm. */
function copyBlock(state: TrainingState, block: number, copyOf: number, copiesMoments: boolean): void {
  const { config, parts, masters, optimizer } = state;
  const { blockPrefix } = familyOf(config.model);
  const [to, from] = [block, copyOf].map((l) => blockPrefix(config.model, l)) as [string, string];
  const pairs = parts.blocks[block]!.map(({ name }) => [name, from + name.slice(to.length)] as const).filter(
    ([, source]) => masters.has(source),
  );
  for (const [target, source] of pairs) masters.get(target)!.copy_(masters.get(source)!);
  if (!copiesMoments) return;
  withPartOfOptimizer(state, parts.blocks[copyOf]!, (sources) => {
    for (const [target, source] of pairs) {
      const own = optimizer.get(target);
      if (own === undefined) continue; // another rank has it
      const { slots, updates } = sources.get(source)!;
      for (const [slot, tensor] of Object.entries(own.slots)) tensor.copy_(slots[slot]!);
      own.updates = updates;
    }
  });
}
