import { z } from 'zod';
import { counted } from '../../errors/index.ts';
import { count, key } from '../../keys/index.ts';
import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { lowest, type NewBlock } from '../state.ts';

/** The keys of `grow`. */
export interface Growth {
  /** How many blocks there are in each stage; derived where it is missing. */
  growBlocks?: readonly number[] | undefined;
  /** After how many steps each stage but the first begins; derived where it is missing. */
  growAt?: readonly number[] | undefined;
  /** What a new block is: the identity, a copy of a block below it, or what the seed gives it. */
  newBlocks: 'identity' | 'copy' | 'random';
  /** What the optimizer remembers of a new block: nothing, or what it remembers of the block that it is a copy of. */
  newMoments: 'fresh' | 'copy';
}

/**
 * A model that grows: in stage i the lowest `growBlocks[i]` of L blocks run at every step and the others never; stage i begins at
 * step `growAt[i − 1]`. Blocks that do not run are the identity. With `copy`, block l of a model that grows from k blocks
 * becomes a copy of block `l mod k`: the small model, stacked on itself.
 * Sources: Gong et al. 2019, progressive stacking; Du et al. 2024, G_stack (arXiv 2405.15319); Bu 2025 (arXiv 2511.04981).
 *
 * @throws RangeError unless there is one step for each stage but the first.
 */
export function grow(options: Pick<MethodOptions, 'layers'> & Growth): DepthMethod {
  const { layers, growBlocks = [], growAt = [], newBlocks, newMoments } = options;
  if (growBlocks.length !== growAt.length + 1) {
    throw new RangeError(
      `growAt: ${counted(growAt.length, 'step')} for ${counted(growBlocks.length, 'stage')} of growBlocks`,
    );
  }
  const states = growBlocks.map((blocks) => lowest(layers, blocks));
  const addedIn = (stage: number) => {
    const [before, now] = [growBlocks[stage - 1]!, growBlocks[stage]!];
    return Array.from({ length: now - before }, (_, i): NewBlock => {
      const block = before + i;
      if (newBlocks === 'random') return { block };
      return { block, copyOf: block % before, copiesMoments: newMoments === 'copy' };
    });
  };
  return (step) => {
    const stage = growAt.filter((at) => at <= step).length;
    const state = states[stage]!;
    // Identities they are already.
    const isGrowth = growAt[stage - 1] === step && newBlocks !== 'identity';
    return isGrowth ? { ...state, newBlocks: addedIn(stage) } : state;
  };
}

const keys = {
  growBlocks: key(z.array(z.int().min(0)).min(1).optional(), 'numbers', {
    description:
      'Of `grow`: how many blocks there are in each of its stages, from the lowest up; at the end all `layers`.',
    derived: 'a quarter of `layers`, then all of them',
  }),
  growAt: key(z.array(count()).optional(), 'numbers', {
    description: 'Of `grow`: after how many steps each stage but the first begins.',
    derived: 'a tenth of `steps` for each',
  }),
  newBlocks: key(z.enum(['identity', 'copy', 'random']).default('copy'), 'numbers', {
    description:
      'Of `grow`: what a new block is. `identity`: its branches end in zeros, so that the model computes what it did; `copy`: block l of a model that had k blocks is a copy of block l mod k; `random`: as the seed says, like any block at the start.',
  }),
  newMoments: key(
    z.enum(['fresh', 'copy']).default('fresh'),
    'numbers',
    'Of `grow` with copies: whether the optimizer begins anew with a new block, or with what it remembers of the block below.',
  ),
};

const kinds = {
  identity: 'new blocks begin as the identity',
  copy: 'new blocks begin as copies of those below',
  random: 'new blocks begin at random',
};

export const growMethod = {
  title: 'a model that grows (arXiv 2405.15319)',
  reads: [],
  keys,
  words: ({ growBlocks = [], growAt = [], newBlocks, newMoments }) => {
    const stages = growBlocks.map((blocks, i) =>
      i === 0 ? counted(blocks, 'block') : `${blocks} from step ${growAt[i - 1]}`,
    );
    const moments = newMoments === 'copy' ? ', with their moments' : '';
    return `${stages.join(', ')} on; ${kinds[newBlocks]}${moments}`;
  },
  derive: ({ layers, totalSteps, growBlocks, growAt }) => {
    const blocks = growBlocks ?? [Math.max(1, Math.round(layers / 4)), layers];
    const tenths = blocks.slice(1).map((_, i) => Math.max(i + 1, Math.round(((i + 1) * totalSteps) / 10)));
    return [
      ...(growBlocks
        ? []
        : [{ key: 'growBlocks' as const, value: blocks, reason: "a quarter of layers, as G_stack's" }]),
      ...(growAt ? [] : [{ key: 'growAt' as const, value: tenths, reason: 'a tenth of steps for each stage' }]),
    ];
  },
  mistakes: ({ layers, growBlocks = [], growAt = [], newBlocks, newMoments, tail }, { norm }) => {
    const notAbove = (list: readonly number[]) => list.find((value, i) => value <= (list[i - 1] ?? -1));
    const [fewer, earlier] = [notAbove(growBlocks), notAbove(growAt)];
    const found = [
      growBlocks.at(-1) !== layers &&
        `depth.growBlocks: ends with ${growBlocks.at(-1)}, and model.layers is ${layers}; let it end with ${layers}`,
      fewer !== undefined && `depth.growBlocks: ${fewer} does not come after fewer; a model grows, as in [3, 6, 12]`,
      earlier !== undefined && `depth.growAt: ${earlier} does not come after an earlier step; give rising steps`,
      growBlocks.length !== growAt.length + 1 &&
        `depth.growAt: has ${counted(growAt.length, 'step')}, and depth.growBlocks ${counted(growBlocks.length, 'stage')}; give one step for each stage but the first`,
      newBlocks === 'copy' &&
        growBlocks[0] === 0 &&
        'depth.newBlocks: there is nothing to copy where depth.growBlocks begins with 0; set random',
      newMoments === 'copy' &&
        newBlocks !== 'copy' &&
        `depth.newMoments: copy belongs to depth.newBlocks: copy, and that is ${newBlocks}; leave it out`,
      tail > 0 && 'depth.tail: grow runs every block that there is in every step; leave it out',
      norm === 'post' && 'depth.method: grow wants model.norm: pre, where a block can be the identity',
    ];
    return found.filter((mistake) => mistake !== false);
  },
  warnings: ({ totalSteps, growAt = [] }) => {
    const late = growAt.find((at) => at >= totalSteps);
    return late === undefined
      ? []
      : [`depth.growAt: a run of ${counted(totalSteps, 'step')} ends before the model grows at step ${late}`];
  },
  jumps: ({ growAt = [] }) => [...growAt],
  create: grow,
} satisfies NamedMethod<Growth & { tail: number }>;
