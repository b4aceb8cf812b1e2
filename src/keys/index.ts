export { type Affects, count, key, type Meaning, namesOf, rate } from './key.ts';
export { phased } from './phased.ts';
