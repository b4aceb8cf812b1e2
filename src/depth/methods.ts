import { constantMethod } from './methods/constant.ts';
import { denseMethod } from './methods/dense.ts';
import { fadeMethod } from './methods/fade.ts';
import { growMethod } from './methods/grow.ts';
import { layerdropMethod } from './methods/layerdrop.ts';
import { ownMethod } from './methods/own.ts';
import { pldMethod } from './methods/pld.ts';
import { shallowMethod } from './methods/shallow.ts';
import { stagedMethod } from './methods/staged.ts';
import { timeOnlyMethod } from './methods/time-only.ts';

/** The depth methods; the enum, defaults, checks, words and docs of `depth.method` come from this table. */
export const depthMethods = {
  dense: denseMethod,
  pld: pldMethod,
  constant: constantMethod,
  layerdrop: layerdropMethod,
  'time-only': timeOnlyMethod,
  fade: fadeMethod,
  staged: stagedMethod,
  shallow: shallowMethod,
  grow: growMethod,
  own: ownMethod,
};

/** A value of `depth.method`. */
export type DepthMethodName = keyof typeof depthMethods;

type KeysOf<Method> = Method extends { keys: infer Keys } ? Keys : object;
type All<Union> = (Union extends unknown ? (part: Union) => void : never) extends (whole: infer Whole) => void
  ? Whole
  : never;

/** The keys declared by single methods; all are keys of `depth`. */
export const ownKeys = Object.assign(
  {},
  ...Object.values(depthMethods).map((method) => ('keys' in method ? method.keys : {})),
) as All<KeysOf<(typeof depthMethods)[DepthMethodName]>>;
