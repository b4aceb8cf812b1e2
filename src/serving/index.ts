export type { Served } from './route.ts';
export { type ModelServer, openServed, startServer } from './server.ts';
