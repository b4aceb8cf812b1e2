import { type ChartGroup, type Field, stepFields } from '../runs/fields.ts';
import { bytesText, compact, percent, rounded } from './format.ts';
import type { RunView } from './run-view.ts';
import { type Columns, smoothed } from './series.ts';

/** The horizontal axes of a run's charts. */
export const axes = {
  step: 'steps',
  samples: 'samples',
  tokens: 'tokens',
  flops: 'FLOPs',
  seconds: 'time',
} as const;
export type Axis = keyof typeof axes;

/** A line of a chart; null values are gaps. */
export interface ChartLine {
  name: string;
  x: readonly number[];
  y: readonly (number | null)[];
  isFaint?: boolean;
  isThin?: boolean;
  hasPoints?: boolean;
}

/** A chart of runs, drawn by the report and the dashboard. */
export interface RunChart {
  title: string;
  yLabel: string;
  /** Formats a value in few characters. */
  format(value: number): string;
  /** Whether the vertical axis starts at 0. */
  fromZero?: boolean;
  /** Whether the vertical axis may be logarithmic. */
  mayBeLog?: boolean;
  /** The lines of one run; empty if it has no data for them. `smoothing` is the weight of the average so far, 0 to 0.99. */
  lines(run: RunView, view: { x: Axis; smoothing: number }): ChartLine[];
}

const nats = (value: number) => value.toFixed(3);

const lossCharts: readonly RunChart[] = [
  {
    title: 'Training loss',
    yLabel: 'nats',
    format: nats,
    mayBeLog: true,
    lines: ({ columns }, { x, smoothing }) => [
      { name: 'raw', x: columns[x], y: columns.loss, isFaint: true },
      { name: 'smoothed', x: columns[x], y: smoothed(columns.loss, smoothing) },
    ],
  },
  {
    title: 'Held-out loss',
    yLabel: 'nats',
    format: nats,
    mayBeLog: true,
    lines: ({ evaluations }, { x }) => [
      {
        name: 'held-out',
        x: evaluations.map((point) => point[x]),
        y: evaluations.map(({ loss }) => loss),
        hasPoints: true,
      },
    ],
  },
];

const overSteps =
  (name: string, y: (columns: Columns, run: RunView) => readonly (number | null)[]): RunChart['lines'] =>
  (run, { x }) => [{ name, x: run.columns[x], y: y(run.columns, run) }];

const formats: Readonly<Record<string, (value: number) => string>> = { nats, bytes: bytesText };

/** The charts of the fields that define one for this group. */
const fieldCharts = (group: ChartGroup) =>
  Object.entries(stepFields as Record<string, Field>).flatMap(([name, field]): RunChart[] => {
    if (field.chart?.group !== group) return [];
    const { title, group: _, ...look } = field.chart;
    const format = formats[field.unit] ?? rounded;
    const y = (columns: Columns) => columns[name as keyof Columns] as (number | null)[];
    return [{ title, yLabel: field.unit, format, ...look, lines: overSteps(title, y) }];
  });

const depthCharts: readonly RunChart[] = [
  {
    title: 'Depth',
    yLabel: 'blocks',
    format: rounded,
    fromZero: true,
    lines: ({ columns }, { x }) => [
      { name: 'actual', x: columns[x], y: columns.depth, isFaint: true },
      { name: 'expected', x: columns[x], y: columns.expectedDepth },
    ],
  },
  {
    title: 'FLOPs saved',
    yLabel: 'cumulative, % of a dense run',
    format: percent,
    fromZero: true,
    lines: overSteps('saved', ({ flops, denseFlops }) => flops.map((spent, i) => 1 - spent / denseFlops[i]!)),
  },
];

const speedCharts: readonly RunChart[] = [
  {
    title: 'Throughput',
    yLabel: 'tokens/s',
    format: compact,
    fromZero: true,
    lines: overSteps('tokens/s', ({ tokensPerSecond }) => tokensPerSecond),
  },
  {
    title: 'Model FLOPs utilisation (MFU)',
    yLabel: '% of measured matmul FLOP/s',
    format: percent,
    fromZero: true,
    lines: ({ columns, peakFlops }, { x }) =>
      peakFlops === null
        ? []
        : [{ name: 'MFU', x: columns[x], y: columns.flopsPerSecond.map((value) => value / peakFlops) }],
  },
  {
    title: 'Data loading and waiting',
    yLabel: '% of step time',
    format: percent,
    fromZero: true,
    lines: ({ columns }, { x }) => [
      { name: 'data loading', x: columns[x], y: columns.dataShare },
      ...(columns.waitShare.some((value) => value > 0)
        ? [{ name: 'waiting for other ranks', x: columns[x], y: columns.waitShare, isThin: true }]
        : []),
    ],
  },
];

/** Charts that belong together, in the order in which they are shown. */
export const chartGroups: readonly {
  title: string;
  charts: readonly RunChart[];
  /** Whether it shows which blocks run, with the heat map of keep rates: nothing to see in dense runs. */
  isOnDepth?: boolean;
}[] = [
  { title: 'Loss', charts: lossCharts },
  { title: 'Which blocks run', charts: [...depthCharts, ...fieldCharts('depth')], isOnDepth: true },
  { title: 'Learning rate and gradients', charts: fieldCharts('optimizer') },
  { title: 'Speed and memory', charts: [...speedCharts, ...fieldCharts('speed')] },
];

/** Whether a run is dense, so far and to its end. */
export const isDense = ({ saved, savedAtEnd }: Pick<RunView, 'saved' | 'savedAtEnd'>) =>
  saved.blockFlops === 0 && savedAtEnd?.blockFlops === 0;
