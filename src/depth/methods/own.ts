import { ConfigError } from '../../errors/index.ts';
import type { DepthMethod, NamedMethod } from '../method.ts';
import type { DepthState } from '../state.ts';

/** The method named in the configuration of a run that a program trained with its own depth method, which only that program has. */
export const ownMethod: NamedMethod = {
  title: 'a depth method of the program that trained the model',
  reads: [],
};

/**
 * A program's depth method with its results checked: `theta` is a number, `keepRates` are L numbers from 0 to 1, `branchScales` are L finite
 * numbers ≥ 0, and `newBlocks`, if any, name blocks.
 *
 * @throws ConfigError on a call, if the method returns anything else or throws.
 */
export function checkedMethod(method: DepthMethod, layers: number): DepthMethod {
  return (step) => {
    const refuse = (what: string, cause?: unknown): never => {
      throw new ConfigError(
        `depth: step ${step}: ${what}; return { theta, keepRates, branchScales }, with ${layers} keep rates from 0 to 1 and ${layers} scales`,
        { cause },
      );
    };
    const state = answerOf(method, step, refuse);
    const { theta, keepRates, branchScales } = state;
    if (typeof theta !== 'number' || !Number.isFinite(theta)) refuse(`theta is ${theta}`);
    for (const [name, values] of Object.entries({ keepRates, branchScales })) {
      if (!Array.isArray(values)) refuse(`${name} is not an array`);
      if (values.length !== layers) refuse(`${name} has ${values.length} entries, but the model has ${layers} blocks`);
      const most = name === 'keepRates' ? 1 : Number.MAX_VALUE;
      const wrong = values.findIndex((value) => typeof value !== 'number' || !(value >= 0 && value <= most));
      if (wrong >= 0) refuse(`${name}[${wrong}] is ${values[wrong]}`);
    }
    const { newBlocks = [] } = state;
    if (!Array.isArray(newBlocks)) refuse('newBlocks is not an array');
    const blocks = newBlocks.flatMap(({ block, copyOf = 0 }) => [block, copyOf]);
    const unknown = blocks.find((block) => !Number.isInteger(block) || block < 0 || block >= layers);
    if (unknown !== undefined) refuse(`newBlocks names block ${unknown}`);
    return state;
  };
}

function answerOf(method: DepthMethod, step: number, refuse: (what: string, cause?: unknown) => never): DepthState {
  if (typeof method !== 'function') return refuse(`the method has type ${typeof method}, not function`);
  let state: DepthState | undefined | null;
  try {
    state = method(step);
  } catch (error) {
    return refuse(`the function threw: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  return typeof state === 'object' && state !== null ? state : refuse(`the function returned ${state}`);
}
