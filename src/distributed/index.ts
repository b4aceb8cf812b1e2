/**
 * Several ranks: their process group and its collectives, and a launcher of ranks on one machine.
 *
 * @module taper-lm/distributed
 */
export type { Pending } from '../tensor/index.ts';
export { type RankEnvironment, rankEnvironment } from './environment.ts';
export { PeerError, peerExitCode } from './errors.ts';
export { alone, joinRanks, type ProcessGroup, partOf, type Traffic } from './group.ts';
export { type Launched, type LaunchOptions, launch } from './launch.ts';
export { broadcastTogether, eachPart, flatZeros } from './together.ts';
