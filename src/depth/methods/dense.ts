import type { DepthMethod, NamedMethod } from '../method.ts';
import { whole } from '../state.ts';

/** All L blocks run at every step: the control. */
export function dense(layers: number): DepthMethod {
  const state = whole(layers);
  return () => state;
}

export const denseMethod: NamedMethod = {
  title: 'every block in every step',
  reads: [],
  drawsGates: false,
  create: ({ layers }) => dense(layers),
};
