import type { DepthMethod } from './method.ts';
import { constant, dense, fade, layerdrop, pld, shallow, staged, timeOnly } from './methods.ts';
import type { Profile } from './profile.ts';
import { type Gamma, gammaWarning } from './schedule.ts';

/** The settings of a depth method, as the `depth` section of a complete configuration has them. */
export interface DepthSettings {
  method: 'dense' | 'pld' | 'constant' | 'layerdrop' | 'time-only' | 'fade' | 'staged' | 'shallow';
  thetaBar: number;
  gamma: Gamma;
  profile: Profile;
  /** Of `staged`. */
  stages?: readonly number[] | undefined;
  denseWarmupRatio: number;
  /** Of `shallow`. */
  blocks?: number | undefined;
}

/**
 * The depth method that the settings ask for, over L blocks and a run of `totalSteps`.
 * Throws a RangeError when the method lacks a setting, or has one that is out of range.
 */
export function depthMethod(settings: DepthSettings, layers: number, totalSteps: number): DepthMethod {
  const options = { ...settings, layers, totalSteps };
  switch (settings.method) {
    case 'dense':
      return dense(layers);
    case 'pld':
      return pld(options);
    case 'constant':
      return constant(options);
    case 'layerdrop':
      return layerdrop(options);
    case 'time-only':
      return timeOnly(options);
    case 'fade':
      return fade(options);
    case 'staged':
      return staged({ ...options, stages: needed(settings.stages, 'stages') });
    case 'shallow':
      return shallow({ layers, blocks: needed(settings.blocks, 'blocks') });
  }
}

function needed<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RangeError(`${name}: missing; the method has no default for it`);
  return value;
}

/** Whether θ follows `θ(t) = (1 − θ̄)·exp(−γ·t) + θ̄`. */
export function hasGamma({ method }: Pick<DepthSettings, 'method'>): boolean {
  return method === 'pld' || method === 'time-only';
}

/** So many steps show whether a method drops anything. */
const numProbes = 100;

/** What a user should hear about these settings before spending `totalSteps` on them; empty when all is well. */
export function depthWarnings(settings: DepthSettings, layers: number, totalSteps: number): string[] {
  const { method, stages, denseWarmupRatio, blocks } = settings;
  const warnings = hasGamma(settings) ? [gammaWarning(settings.gamma, totalSteps)] : [];
  const unused = (key: string, of: string) => `depth.${key}: belongs to ${of}, and ${method} does not read it`;
  if (method !== 'staged' && (stages !== undefined || denseWarmupRatio > 0)) {
    warnings.push(unused(stages === undefined ? 'denseWarmupRatio' : 'stages', 'staged'));
  }
  if (method !== 'shallow' && blocks !== undefined) warnings.push(unused('blocks', 'shallow'));
  const keepRates = depthMethod(settings, layers, totalSteps);
  const probes = Array.from({ length: numProbes }, (_, i) => Math.floor((i * totalSteps) / numProbes));
  if (method !== 'dense' && probes.every((step) => keepRates(step).keepRates.every((rate) => rate === 1))) {
    warnings.push(`depth.method: ${method} drops nothing here: every block runs in every step`);
  }
  return warnings.filter((warning) => warning !== undefined);
}
