export { openServed, startServer } from './server.ts';
