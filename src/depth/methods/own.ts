import type { NamedMethod } from '../method.ts';

/** What a run's configuration names where a program trained it with a depth method of its own: only that program knows it. */
export const ownMethod: NamedMethod = {
  title: 'a function of the program that trained it',
  reads: [],
};
