import { counted } from '../../errors/index.ts';
import { count, key } from '../../keys/index.ts';
import type { DepthMethod, MethodOptions, NamedMethod } from '../method.ts';
import { lowest } from '../state.ts';

/** The key of `shallow`. */
export interface Blocks {
  /** The number of blocks that run; derived if missing. */
  blocks?: number | undefined;
}

/**
 * The lowest `blocks` of L blocks run at every step and the others never: the control at equal cost. Blocks that never
 * run are set to the identity when training starts, so that evaluation and export, which run every block, see the shallow
 * model.
 *
 * @throws RangeError unless `blocks` is an integer from 0 to L.
 */
export function shallow({ layers, blocks }: Pick<MethodOptions, 'layers'> & Blocks): DepthMethod {
  if (blocks === undefined) throw new RangeError('blocks: missing; give the number of blocks that run');
  if (!(Number.isInteger(blocks) && blocks >= 0 && blocks <= layers)) {
    throw new RangeError(`blocks: ${blocks} is not an integer from 0 to ${layers}, the number of layers`);
  }
  const state = lowest(layers, blocks);
  return () => state;
}

const keys = {
  blocks: key(count().optional(), 'numbers', {
    description: 'For `shallow`: the number of blocks that run; the others never do.',
    derived: 'three quarters of `layers`',
  }),
};

export const shallowMethod = {
  title: 'the lowest blocks only',
  reads: [],
  drawsGates: false,
  keys,
  words: ({ blocks }) => counted(blocks!, 'block'),
  derive: ({ layers, blocks }) => {
    if (blocks !== undefined) return [];
    const value = Math.max(1, Math.round(0.75 * layers));
    return [{ key: 'blocks', value, reason: 'three quarters of layers' }];
  },
  mistakes: ({ layers, blocks }, { norm }) => [
    ...(blocks! > layers ? [`depth.blocks: ${blocks} is above model.layers ${layers}; lower it`] : []),
    ...(norm === 'post'
      ? [
          'depth.method: shallow needs model.norm: pre; a PostLN block cannot be the identity; ' +
            'with post, lower model.layers and set depth.method to dense',
        ]
      : []),
  ],
  create: shallow,
} satisfies NamedMethod<Blocks>;
