import { lineChart } from './chart.ts';
import { type Cost, costs } from './compare.ts';
import type { RunRecord } from './run-record.ts';

/** The horizontal axes, and the units of each, smallest first. */
const axes: Record<
  Cost,
  { title: string; label: (unit: string) => string; units: readonly (readonly [string, number])[] }
> = {
  samples: { title: 'samples', label: () => 'training sequences', units: [['', 1]] },
  flops: {
    title: 'FLOPs',
    label: (unit) => `training ${unit}FLOPs`,
    units: [
      ['G', 1e9],
      ['T', 1e12],
      ['P', 1e15],
      ['E', 1e18],
    ],
  },
  seconds: {
    title: 'time',
    label: (unit) => `${unit} of training`,
    units: [
      ['seconds', 1],
      ['minutes', 60],
      ['hours', 3600],
      ['days', 86_400],
    ],
  },
};

/** Held-out loss against samples, FLOPs and time: one SVG document each, by file name. */
export function lossCurves(records: readonly Pick<RunRecord, 'name' | 'evaluations'>[]): Record<string, string> {
  return Object.fromEntries(
    costs.map((cost) => {
      const { title, label, units } = axes[cost];
      const most = Math.max(...records.map(({ evaluations }) => evaluations.at(-1)![cost]));
      const [unit, size] = units.findLast(([, one]) => most >= 2 * one) ?? units[0]!;
      const series = records.map(({ name, evaluations }) => ({
        name,
        points: evaluations.map((point) => [point[cost] / size, point.loss] as const),
      }));
      const names = { title: `Held-out loss by ${title}`, xLabel: label(unit), yLabel: 'loss, nats' };
      return [`loss-by-${cost}.svg`, lineChart({ ...names, series })];
    }),
  );
}
