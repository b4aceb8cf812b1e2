import { z } from 'zod';
import { ConfigError } from '../errors/index.ts';
import { key, namesOf } from '../keys/index.ts';
import { granularities } from './gates.ts';
import type { DepthMethod, NamedMethod } from './method.ts';
import { type DepthMethodName, depthMethods, ownKeys } from './methods.ts';
import { profiles } from './profile.ts';
import { gammaWarning } from './schedule.ts';
import { scaled, unscaled, whole } from './state.ts';

/** The values of `depth.scale`: the factor of a branch that runs, and its words in a model card. */
const scales = {
  inverse: { state: scaled, words: 'branches scaled by 1/p' },
  none: { state: unscaled, words: 'branches unscaled' },
};

/** The `depth` section of a configuration. */
export const depthSection = z
  .strictObject({
    method: key(
      z.enum(Object.keys(depthMethods) as DepthMethodName[]).default('dense'),
      'numbers',
      'Which blocks run: `dense` runs all of them, `pld` drops more as training proceeds (progressive layer dropping); [methods](methods/README.md) describes the others, and which pays.',
    ),
    thetaBar: key(z.number().gt(0).lte(1).default(0.5), 'numbers', {
      description:
        'θ̄, the lowest keep rate: the limit of θ(t) = (1 − θ̄)·exp(−γ·t) + θ̄ in `pld` and `time-only`, the initial rate in `fade`, the constant rate in `constant` and `layerdrop`. 1 drops nothing. The paper uses 0.5 to 0.9.',
      advice: "0.5 is the paper's",
    }),
    gamma: key(
      z
        .union([
          z.number().gt(0),
          z.templateLiteral([z.number(), '/T']).refine((perRun) => Number.parseFloat(perRun) > 0),
        ])
        .default('100/T'),
      'numbers',
      {
        description: 'γ, the rate at which θ falls: in 1/steps, or `c/T` for c divided by `train.steps`.',
        typeName: 'number > 0, or `c/T`',
        advice: "100/T is the paper's",
      },
    ),
    profile: key(
      z.enum(profiles).default('linear'),
      'numbers',
      "How the keep rate of `pld` and `constant` falls over the L blocks: `linear`, 1 − (l/L)(1 − θ) for l = 1 … L (the paper's equation), `linear0`, the same for l = 0 … L−1 (the public code), `uniform`, θ for every block, or `deepspeed`, `linear0` with branches scaled by the next block's rate, as in DeepSpeed's code.",
    ),
    granularity: key(
      z.enum(namesOf(granularities)).default('batch'),
      'numbers',
      'What one gate covers: `batch`, a whole micro-batch, as published; `sequence`, one sequence: each block runs on a random subset of the sequences, so every step costs the same and, with enough sequences, trains every block; `exact`, a whole micro-batch, but each micro-batch runs the mean number of blocks, rounded up or down.',
    ),
    scale: key(z.enum(namesOf(scales)).optional(), 'numbers', {
      description:
        'How branches that run are scaled: `inverse`, by 1/p, where p is the keep rate of the block; `none`, not at all.',
      derived:
        "as published for the method: `none` for `layerdrop` and `staged`, the program's for `own`, else `inverse` (`profile: deepspeed` has its own)",
    }),
    tail: key(
      z.number().gte(0).lte(0.5).default(0),
      'numbers',
      'The last fraction of `steps`, in which every block runs: a dense recovery phase. Not for `grow`.',
    ),
    ...ownKeys,
  })
  .describe('Which blocks run at which step.');

/** The settings of a depth method. */
export type DepthSettings = z.infer<typeof depthSection>;

/** The settings that `depthMethod` reads; the granularity belongs to the gates. */
export type MethodSettings = Omit<DepthSettings, 'granularity'>;

const named = ({ method }: Pick<DepthSettings, 'method'>): NamedMethod<MethodSettings> => depthMethods[method];

/**
 * The depth method of the settings, for L blocks and a run of `totalSteps`; undefined if it is a function that only a
 * program has.
 *
 * @throws RangeError if the method lacks a setting, or has one that is out of range.
 */
export function knownMethod(settings: MethodSettings, layers: number, totalSteps: number): DepthMethod | undefined {
  const method = named(settings).create?.({ ...settings, layers, totalSteps });
  return method && withShared(method, settings, layers, totalSteps);
}

/**
 * The method with the settings shared by all methods: branches scaled by `scale`, and dense in the last `tail` of the run, where
 * its `newBlocks` are still added.
 */
export function withShared(
  method: DepthMethod,
  { scale, tail }: Pick<DepthSettings, 'scale' | 'tail'>,
  layers: number,
  totalSteps: number,
): DepthMethod {
  const rescaled = scale && scales[scale].state;
  const tailStart = totalSteps - Math.round(tail * totalSteps);
  const dense = whole(layers);
  return (step) => {
    const state = method(step);
    if (tail > 0 && step >= tailStart) return state.newBlocks ? { ...dense, newBlocks: state.newBlocks } : dense;
    return rescaled ? { ...state, ...rescaled(state.theta, state.keepRates) } : state;
  };
}

/**
 * The depth method of the settings, for L blocks and a run of `totalSteps`.
 *
 * @throws RangeError if the method lacks a setting, or has one that is out of range.
 * @throws ConfigError if only a program can pass the function.
 */
export function depthMethod(settings: MethodSettings, layers: number, totalSteps: number): DepthMethod {
  const method = knownMethod(settings, layers, totalSteps);
  if (method) return method;
  throw new ConfigError(
    `depth.method: ${settings.method} is ${named(settings).title}; pass it as pretrain(config, { depth }), or choose another method`,
  );
}

/** The settings with the derived values, each of which is reported to `derived`. */
export function completeDepth<S extends MethodSettings>(
  settings: S,
  { layers, totalSteps }: { layers: number; totalSteps: number },
  derived: (key: string, value: unknown, reason: string) => void,
): S {
  const found = named(settings).derive?.({ ...settings, layers, totalSteps }) ?? [];
  for (const { key, value, reason } of found) derived(key, value, reason);
  return { ...settings, ...Object.fromEntries(found.map(({ key, value }) => [key, value])) };
}

/** Mistakes in complete settings, each with its fix. */
export function depthMistakes(
  settings: MethodSettings,
  model: { layers: number; norm: 'pre' | 'post' },
  totalSteps: number,
): string[] {
  return named(settings).mistakes?.({ ...settings, layers: model.layers, totalSteps }, model) ?? [];
}

/** Whether the gates of the method are random; if not, every keep rate is 0 or 1. */
export function drawsGates(settings: Pick<DepthSettings, 'method'>): boolean {
  return named(settings).drawsGates ?? true;
}

/** The most blocks that a step may run. */
export function mostBlocks(settings: MethodSettings, layers: number, totalSteps: number): number {
  const rates = probedRates(settings, layers, totalSteps)?.map((rates) => rates.filter((rate) => rate > 0).length);
  return rates ? Math.max(...rates) : layers;
}

/** Whether the method has a schedule `θ(t) = (1 − θ̄)·exp(−γ·t) + θ̄`. */
export function hasGamma(settings: Pick<DepthSettings, 'method'>): boolean {
  return named(settings).reads.includes('gamma');
}

/** The values of the keys that only this method reads. */
export function ownSettings(settings: MethodSettings): object {
  const keys = Object.keys(named(settings).keys ?? {});
  return Object.fromEntries(Object.entries(settings).filter(([key]) => keys.includes(key)));
}

/** Those values in words, such as "9 blocks"; undefined for a method without own keys. */
export function ownWords(settings: MethodSettings): string | undefined {
  return named(settings).words?.(settings);
}

/** The steps at which keep rates jump. */
export function depthJumps(settings: MethodSettings, layers: number, totalSteps: number): number[] {
  const { tail } = settings;
  return [
    ...(named(settings).jumps?.({ ...settings, layers, totalSteps }) ?? []),
    ...(tail > 0 ? [totalSteps - Math.round(tail * totalSteps)] : []),
  ];
}

/** The method and the settings that it reads, in words for a model card. */
export function depthWords(settings: DepthSettings): string {
  const { title, reads } = named(settings);
  const { thetaBar, gamma, profile, granularity } = settings;
  const shared = { thetaBar: `θ̄ = ${thetaBar}`, gamma: `γ = ${gamma}`, profile: `profile ${profile}` };
  const parts = [title, ...reads.map((key) => shared[key]), ownWords(settings)];
  const gates = drawsGates(settings) ? granularities[granularity].words : undefined;
  const scale = settings.scale && scales[settings.scale].words;
  const tail =
    settings.tail > 0 ? `dense in the last ${Math.round(1000 * settings.tail) / 10} % of the steps` : undefined;
  return [...parts, gates, scale, tail].filter((part) => part !== undefined).join(', ');
}

/** The number of steps that are probed to see which blocks a method drops. */
const numProbes = 100;

/** The keep rates at steps over the whole run, the last one among them; undefined for the function of a program. */
function probedRates(
  settings: MethodSettings,
  layers: number,
  totalSteps: number,
): readonly (readonly number[])[] | undefined {
  const states = knownMethod(settings, layers, totalSteps);
  if (!states) return undefined;
  const probes = Array.from({ length: numProbes }, (_, i) => Math.floor((i * (totalSteps - 1)) / (numProbes - 1)));
  return probes.map((step) => states(step).keepRates);
}

/** Warnings about these settings before a run of `totalSteps`. */
export function depthWarnings(settings: DepthSettings, layers: number, totalSteps: number): string[] {
  const { method, gamma } = settings;
  const isDense = probedRates(settings, layers, totalSteps)?.every((rates) => rates.every((rate) => rate === 1));
  return [
    hasGamma(settings) ? gammaWarning(gamma, totalSteps) : undefined,
    ...unread(settings),
    ...(named(settings).warnings?.({ ...settings, layers, totalSteps }) ?? []),
    method !== 'dense' && isDense
      ? `depth.method: ${method} drops nothing with these settings: every block runs in every step`
      : undefined,
  ].filter((warning) => warning !== undefined);
}

/** Whether a method reads a key of `depth` that not all methods read. */
function isRead(key: string, { reads, keys = {}, drawsGates = true }: NamedMethod<MethodSettings>): boolean {
  return key === 'granularity' ? drawsGates : key in keys || reads.some((shared) => shared === key);
}

/** Warnings about keys that only other methods read. */
function unread(settings: DepthSettings): string[] {
  const { method, scale: _, tail: __, ...others } = settings;
  const defaults = depthSection.parse({}) as Record<string, unknown>;
  const given = Object.entries(others).flatMap(([key, value]) => (value === defaults[key] ? [] : [key]));
  return given
    .filter((key) => !isRead(key, named(settings)))
    .map((key) => {
      const readers = Object.entries(depthMethods).filter(([, other]) =>
        isRead(key, other as NamedMethod<MethodSettings>),
      );
      return `depth.${key}: a setting of ${readers.map(([name]) => name).join(', ')}; ${method} ignores it`;
    });
}
