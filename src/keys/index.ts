export { type Affects, count, key, type Meaning, rate } from './key.ts';
