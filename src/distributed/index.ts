export type { Pending } from '../tensor/index.ts';
export { type RankEnvironment, rankEnvironment } from './environment.ts';
export { PeerError, peerExitCode } from './errors.ts';
export { alone, joinRanks, type ProcessGroup, partOf, type Traffic } from './group.ts';
export { broadcastTogether, eachPart, flatZeros } from './together.ts';
