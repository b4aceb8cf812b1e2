/** A way to train the model of configs/depth.yaml. */
export interface Setting {
  name: string;
  /** What it is, for a table. */
  label: string;
  /** What it changes in configs/depth.yaml, beside `train.steps`. */
  sets: readonly string[];
  /** When it grows, as fractions of its steps. */
  growAt?: readonly number[] | undefined;
  /** What it has in common with dense training: the time that it takes, so a cheaper step means more steps, or the samples. */
  equal: 'time' | 'samples';
  seeds: readonly number[];
}

/** The seeds of the most telling settings; the others have only the first. */
export const seeds = [1, 2, 3] as const;
const once = seeds.slice(0, 1);

const sequence = 'depth.granularity=sequence';
const pld = (thetaBar: number, ...others: string[]) => ['depth.method=pld', `depth.thetaBar=${thetaBar}`, ...others];
const grow = (...blocks: number[]) => ['depth.method=grow', `depth.growBlocks=[${blocks.join(', ')}]`];
const shallow = (blocks: number) => ['depth.method=shallow', `depth.blocks=${blocks}`];

type Row = [name: string, label: string, seeds: readonly number[], sets: readonly string[], growAt?: readonly number[]];

/** Do deeper models learn more from the same samples? If not, a comparison of depth methods says nothing. */
const controls: Row[] = [
  ['samples-9', '9 blocks', seeds, shallow(9)],
  ['samples-6', '6 blocks', seeds, shallow(6)],
];

const compared: Row[] = [
  ['shallow', 'shallow, 9 blocks', seeds, shallow(9)],
  ['shallow-6', 'shallow, 6 blocks', seeds, shallow(6)],
  ['pld-exact', 'PLD, θ̄ = 0.5, exact gates', seeds, pld(0.5, 'depth.granularity=exact')],
  ['fade', 'fade, θ̄ = 0.4, one gate per sequence', seeds, ['depth.method=fade', 'depth.thetaBar=0.4', sequence]],
  ['grow-half', 'grow, 3-6-9-12 blocks, a sixth for each stage', seeds, grow(3, 6, 9, 12), [1 / 6, 1 / 3, 1 / 2]],
  ['shallow-3', 'shallow, 3 blocks', once, shallow(3)],
  ['grow-stages', 'grow, 3-6-9-12 blocks, a tenth for each stage', once, grow(3, 6, 9, 12), [0.1, 0.2, 0.3]],
  ['grow-quarters', 'grow, 3-6-9-12 blocks, a quarter for each stage', once, grow(3, 6, 9, 12), [1 / 4, 1 / 2, 3 / 4]],
  ['grow', 'grow, 3 to 12 blocks after a tenth', once, grow(3, 12), [0.1]],
  ['grow-once', 'grow, 3 to 12 blocks after half', once, grow(3, 12), [1 / 2]],
  ['grow-six', 'grow, 6 to 12 blocks after half', once, grow(6, 12), [1 / 2]],
  ['pld', 'PLD, θ̄ = 0.5', once, pld(0.5)],
  ['pld-sequence', 'PLD, θ̄ = 0.5, one gate per sequence', once, pld(0.5, sequence)],
  ['staged', 'staged, 6-8-10-12', once, ['depth.method=staged']],
  ['pld-unscaled', 'PLD, θ̄ = 0.5, unscaled', once, pld(0.5, 'depth.scale=none')],
  [
    'pld-sequence-unscaled',
    'PLD, θ̄ = 0.5, one gate per sequence, unscaled',
    once,
    pld(0.5, sequence, 'depth.scale=none'),
  ],
  [
    'pld-exact-unscaled',
    'PLD, θ̄ = 0.5, exact gates, unscaled',
    once,
    pld(0.5, 'depth.granularity=exact', 'depth.scale=none'),
  ],
  ['pld-0.7', 'PLD, θ̄ = 0.7, one gate per sequence', once, pld(0.7, sequence)],
  ['pld-0.9', 'PLD, θ̄ = 0.9, one gate per sequence', once, pld(0.9, sequence)],
  ['constant', 'constant, θ̄ = 0.5', once, ['depth.method=constant', 'depth.thetaBar=0.5']],
  ['layerdrop', 'layerdrop, θ̄ = 0.5', once, ['depth.method=layerdrop', 'depth.thetaBar=0.5']],
  [
    'random',
    'each block at random, ½, scaled by 1/p',
    once,
    ['depth.method=constant', 'depth.profile=uniform', 'depth.thetaBar=0.5'],
  ],
];

const settingsOf = (equal: Setting['equal'], rows: readonly Row[]): Setting[] =>
  rows.map(([name, label, seeds, sets, growAt]) => ({ name, label, seeds, sets, growAt, equal }));

/** The settings of the comparison: first dense and what tells whether depth matters, the most telling methods next. */
export const settings: readonly Setting[] = [
  ...settingsOf('time', [['dense', 'dense', seeds, []]]),
  ...settingsOf('samples', controls),
  ...settingsOf('time', compared),
];

export function settingOf(name: string): Setting {
  const found = settings.find((setting) => setting.name === name);
  if (!found) throw new Error(`${name}: there are ${settings.map(({ name }) => name).join(', ')}`);
  return found;
}
