export { type Draw, drawFor, type SampleKey } from './draw.ts';
export { drawSeed, philox4x32, Stream, seedKey } from './philox.ts';
