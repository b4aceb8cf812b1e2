import { ConfigError } from '../../errors/index.ts';
import { ConfigReader, type Json } from '../hugging-face.ts';
import type { RopeScaling } from '../parameters.ts';

/**
 * llama3's scaling: a frequency with more than `highFrequency` waves in `originalPositions` stays, one with fewer than `lowFrequency` is
 * divided by `factor`, and those between are interpolated.
 */
function stretched(
  frequency: number,
  { factor, lowFrequency, highFrequency, originalPositions }: RopeScaling & { type: 'llama3' },
): number {
  const waves = (originalPositions * frequency) / (2 * Math.PI);
  if (waves < lowFrequency) return frequency / factor;
  if (waves > highFrequency) return frequency;
  const smooth = (waves - lowFrequency) / (highFrequency - lowFrequency);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

/**
 * The angle per position of each pair of numbers in a head of size d: `θ^(−2i/d)`, i from 0 up to d/2; stretched for longer texts
 * if a scaling is given.
 *
 * Source: Su et al. 2021 (arXiv 2104.09864), Eq. 15; scaling: Chen et al. 2023 (arXiv 2306.15595), Llama 3.1.
 */
export function rotaryFrequencies(headSize: number, theta: number, scaling?: RopeScaling): number[] {
  return Array.from({ length: headSize / 2 }, (_, i) => {
    const frequency = 1 / theta ** ((2 * i) / headSize);
    if (scaling === undefined) return frequency;
    return scaling.type === 'linear' ? frequency / scaling.factor : stretched(frequency, scaling);
  });
}

/** Rotary positions as in a `config.json`. */
export interface Rope {
  theta: number;
  scaling?: RopeScaling;
}

/** How a scaling is read, by its `rope_type`. */
const scalings: Readonly<Record<string, (rope: ConfigReader, maxPositions: number) => RopeScaling | undefined>> = {
  default: () => undefined,
  linear: (rope) => ({ type: 'linear', factor: rope.positive('factor') }),
  llama3: (rope, maxPositions) => ({
    type: 'llama3',
    factor: rope.positive('factor'),
    lowFrequency: rope.positive('low_freq_factor'),
    highFrequency: rope.positive('high_freq_factor'),
    originalPositions: rope.positive('original_max_position_embeddings', maxPositions),
  }),
};

/**
 * Reads rotary positions: those that `rope_parameters` of transformers 5 gives, or `rope_scaling` of earlier versions, which have
 * `theta` beside it.
 *
 * @throws ConfigError for a kind of scaling that taper does not support.
 */
export function readRope({ file, json }: ConfigReader, given: unknown, theta: number): Rope {
  const rope = new ConfigReader(`${file}: rotary positions`, { rope_theta: theta, ...((given ?? {}) as Json) });
  const type = rope.json.rope_type ?? rope.json.type ?? 'default';
  const read = scalings[type as string];
  if (read === undefined) {
    const known = Object.keys(scalings).join(', ');
    throw new ConfigError(`${file}: rope_type ${JSON.stringify(type)} is not one of ${known}`);
  }
  if ((rope.json.partial_rotary_factor ?? 1) !== 1) {
    throw new ConfigError(
      `${file}: partial_rotary_factor ${rope.json.partial_rotary_factor} is not supported; taper supports only 1`,
    );
  }
  const scaling = read(rope, new ConfigReader(file, json).count('max_position_embeddings'));
  return { theta: rope.positive('rope_theta'), ...(scaling && { scaling }) };
}

/** A scaling as the `rope_scaling` of a `config.json`. */
export function writeScaling(scaling: RopeScaling | undefined): Json | undefined {
  if (scaling === undefined) return undefined;
  const { type, factor } = scaling;
  if (type === 'linear') return { rope_type: type, factor };
  return {
    rope_type: type,
    factor,
    low_freq_factor: scaling.lowFrequency,
    high_freq_factor: scaling.highFrequency,
    original_max_position_embeddings: scaling.originalPositions,
  };
}
