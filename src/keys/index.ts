export { count, key, type Meaning, rate } from './key.ts';
