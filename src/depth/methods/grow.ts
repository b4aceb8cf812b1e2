import { z } from 'zod';
import { counted } from '../../errors/index.ts';
import { count, key, namesOf } from '../../keys/index.ts';
import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { lowest, type NewBlock } from '../state.ts';

/** The values of `depth.newBlocks`: in words, and how the block is made unless it keeps its initial zeros. */
const newBlockKinds = {
  identity: { words: 'new blocks start as the identity' },
  copy: {
    words: 'new blocks start as copies of those below',
    make: (block, before, copiesMoments) => ({ block, copyOf: block % before, copiesMoments }),
  },
  random: { words: 'new blocks are randomly initialised', make: (block) => ({ block }) },
} satisfies Record<string, NewBlockKind>;

interface NewBlockKind {
  words: string;
  make?(block: number, blocksBefore: number, copiesMoments: boolean): NewBlock;
}

/** The keys of `grow`. */
export interface Growth {
  /** The number of blocks in each stage; derived if missing. */
  growBlocks?: readonly number[] | undefined;
  /** The step at which each stage after the first begins; derived if missing. */
  growAt?: readonly number[] | undefined;
  /** How a new block starts: as the identity, as a copy of a block below it, or randomly initialised. */
  newBlocks: keyof typeof newBlockKinds;
  /** The optimizer state of a new block: zeros, or that of the block it copies. */
  newMoments: 'fresh' | 'copy';
}

/**
 * A model that grows: in stage i the lowest `growBlocks[i]` of L blocks run at every step and the others never; stage i begins at
 * step `growAt[i − 1]`. Blocks that do not run are the identity. With `copy`, a new block l of a model that grows from k blocks
 * becomes a copy of block `l mod k`: the small model is stacked on itself.
 * Sources: Gong et al. 2019, progressive stacking; Du et al. 2024, G_stack (arXiv 2405.15319); Bu 2025 (arXiv 2511.04981).
 *
 * @throws RangeError unless `growAt` has one step for each stage after the first, both lists increase, `growBlocks` ends with L, and
 *   a block that copies has one to copy.
 */
export function grow(options: Pick<MethodOptions, 'layers'> & Growth): DepthMethod {
  const { layers, growBlocks = [], growAt = [], newBlocks, newMoments } = options;
  const [mistake] = stageMistakes(options);
  if (mistake !== undefined) throw new RangeError(mistake);
  const states = growBlocks.map((blocks) => lowest(layers, blocks));
  const { make }: NewBlockKind = newBlockKinds[newBlocks];
  return (step) => {
    const stage = growAt.filter((at) => at <= step).length;
    const state = states[stage]!;
    if (!make || growAt[stage - 1] !== step) return state;
    const [before, now] = [growBlocks[stage - 1]!, growBlocks[stage]!];
    const added = Array.from({ length: now - before }, (_, i) => make(before + i, before, newMoments === 'copy'));
    return { ...state, newBlocks: added };
  };
}

/** Mistakes in the stages and in how new blocks start, each with its fix. */
function stageMistakes(options: Pick<MethodOptions, 'layers'> & Growth): string[] {
  const { layers, growBlocks = [], growAt = [], newBlocks, newMoments } = options;
  const notAbove = (list: readonly number[]) => list.find((value, i) => !(value > (list[i - 1] ?? -1)));
  const [fewer, earlier] = [notAbove(growBlocks), notAbove(growAt)];
  const found = [
    growBlocks.at(-1) !== layers &&
      `depth.growBlocks: ends with ${growBlocks.at(-1)}, but model.layers is ${layers}; end it with ${layers}`,
    fewer !== undefined &&
      `depth.growBlocks: ${fewer} is not more than the number before it; numbers must increase, as in [3, 6, 12]`,
    earlier !== undefined && `depth.growAt: ${earlier} is not after the step before it; steps must increase`,
    growBlocks.length !== growAt.length + 1 &&
      `depth.growAt: has ${counted(growAt.length, 'step')} for the ${counted(growBlocks.length, 'stage')} of depth.growBlocks; give one step for each stage after the first`,
    newBlocks === 'copy' &&
      growBlocks[0] === 0 &&
      'depth.newBlocks: copy has nothing to copy, since depth.growBlocks begins with 0; set random or identity',
    newMoments === 'copy' &&
      newBlocks !== 'copy' &&
      `depth.newMoments: copy needs depth.newBlocks: copy, but that is ${newBlocks}; leave it out`,
  ];
  return found.filter((mistake) => mistake !== false);
}

const keys = {
  growBlocks: key(z.array(z.int().min(0)).min(1).optional(), 'numbers', {
    typeName: 'list of integers ≥ 0',
    advice: 'write numbers, as in [3, 12]',
    description: 'For `grow`: the number of blocks in each stage, counted from the lowest; the last is `layers`.',
    derived: 'a quarter, half, three quarters and all of `layers`',
  }),
  growAt: key(z.array(count()).optional(), 'numbers', {
    typeName: 'list of integers ≥ 1',
    advice: 'write steps, as in [1000]',
    description: 'For `grow`: the step at which each stage after the first begins.',
    derived: 'at equal distances up to half of `steps`',
  }),
  newBlocks: key(z.enum(namesOf(newBlockKinds)).default('copy'), 'numbers', {
    description:
      'For `grow`: how a new block starts. `identity`: its branches end in zeros, so the model computes the same function as before; `copy`: block l of a model that had k blocks becomes a copy of block l mod k; `random`: initialised from the seed, as at the start of a run.',
  }),
  newMoments: key(
    z.enum(['fresh', 'copy']).default('fresh'),
    'numbers',
    'For `grow` with copies: the optimizer state of a new block. `fresh`: zeros; `copy`: that of the block it copies.',
  ),
};

export const growMethod = {
  title: 'a model that grows (arXiv 2405.15319)',
  reads: [],
  drawsGates: false,
  keys,
  words: ({ growBlocks = [], growAt = [], newBlocks, newMoments }) => {
    const stages = growBlocks.map((blocks, i) =>
      i === 0 ? counted(blocks, 'block') : `${blocks} from step ${growAt[i - 1]}`,
    );
    const moments = newMoments === 'copy' ? ', with their optimizer state' : '';
    return `${stages.join(', ')} on; ${newBlockKinds[newBlocks].words}${moments}`;
  },
  derive: ({ layers, totalSteps, growBlocks, growAt }) => {
    const quarters = [1, 2, 3, 4].map((quarter) => Math.max(1, Math.round((quarter * layers) / 4)));
    const blocks = growBlocks ?? [...new Set(quarters)];
    const stage = totalSteps / (2 * (blocks.length - 1));
    const steps = blocks.slice(1).map((_, i) => Math.max(i + 1, Math.round((i + 1) * stage)));
    return [
      ...(growBlocks ? [] : [{ key: 'growBlocks' as const, value: blocks, reason: 'quarters of layers' }]),
      ...(growAt ? [] : [{ key: 'growAt' as const, value: steps, reason: 'at equal distances up to half of steps' }]),
    ];
  },
  mistakes: (options, { norm }) => [
    ...stageMistakes(options),
    ...(options.tail > 0
      ? ['depth.tail: does not apply to grow, which always runs all existing blocks; leave it out']
      : []),
    ...(norm === 'post' ? ['depth.method: grow needs model.norm: pre; a PostLN block cannot be the identity'] : []),
  ],
  warnings: ({ totalSteps, growAt = [] }) => {
    const late = growAt.find((at) => at >= totalSteps);
    return late === undefined
      ? []
      : [`depth.growAt: a run of ${counted(totalSteps, 'step')} ends before the model grows at step ${late}`];
  },
  jumps: ({ growAt = [] }) => [...growAt],
  create: grow,
} satisfies NamedMethod<Growth & { tail: number }>;
