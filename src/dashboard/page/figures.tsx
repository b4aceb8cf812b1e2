import { bytesText, duration, percent, rounded } from '../../report/format.ts';
import { smoothed } from '../../report/series.ts';
import type { ShownRun } from '../api.ts';
import { Chart, type ChartProps, type Line } from './chart.tsx';
import { HeatMap } from './heat-map.tsx';
import { runColours } from './theme.ts';
import { type Axis, axes, type View } from './view.ts';

/** A large number in few characters: `1.2M`. */
export const compact = (value: number) =>
  Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
const share = (value: number) => percent(value).replace(' ', ' ');
const scientific = (value: number) => (value === 0 ? '0' : value.toExponential(1));

const formatX: Record<Axis, (value: number) => string> = {
  step: compact,
  samples: compact,
  tokens: compact,
  flops: (value) => (value === 0 ? '0' : value.toExponential(1)),
  seconds: duration,
};

/** Every figure of the runs, laid over each other. */
export function Figures({ runs, view }: { runs: readonly ShownRun[]; view: View }) {
  const { x, isLog, smoothing } = view;
  const isOne = runs.length === 1;
  const common = { xLabel: axes[x], formatX: formatX[x] };
  const lines = (
    of: (run: ShownRun) => (Omit<Line, 'colour' | 'x' | 'name'> & { name?: string; x?: readonly number[] })[],
  ): Line[] =>
    runs.flatMap((run, i) =>
      of(run).map((line) => ({
        x: run.columns[x],
        ...line,
        colour: runColours[i]!,
        name: [isOne ? '' : run.name, line.name].filter(Boolean).join(' ') || run.name,
      })),
    );
  const chart = (
    title: string,
    yLabel: string,
    format: (value: number) => string,
    of: Line[],
    more: Partial<ChartProps> = {},
  ) => <Chart key={title} title={title} yLabel={yLabel} format={format} lines={of} {...common} {...more} />;
  const hasMfu = runs.some(({ peakFlops }) => peakFlops !== null);
  return (
    <div class="figures">
      {chart(
        'Training loss',
        'nats',
        (value) => value.toFixed(3),
        lines(({ columns }) => [
          { name: 'as it was', y: columns.loss, isFaint: true },
          { name: 'smoothed', y: smoothed(columns.loss, smoothing) },
        ]),
        { isLog },
      )}
      {chart(
        'Held-out loss',
        'nats',
        (value) => value.toFixed(3),
        lines(({ evaluations }) => [
          {
            name: 'held-out',
            x: evaluations.map((point) => point[x]),
            y: evaluations.map(({ loss }) => loss),
            hasPoints: true,
          },
        ]),
        { isLog },
      )}
      {runs.map((run) => (
        <HeatMap key={run.name} run={run} />
      ))}
      {chart(
        'θ',
        'keep rate of the deepest block under PLD',
        rounded,
        lines(({ columns }) => [{ name: 'θ', y: columns.theta }]),
      )}
      {chart(
        'Depth',
        'blocks that ran',
        rounded,
        lines(({ columns }) => [
          { name: 'ran', y: columns.depth, isFaint: true },
          { name: 'expected', y: columns.expectedDepth },
        ]),
        { fromZero: true },
      )}
      {chart(
        'FLOPs saved so far',
        'of every block on',
        share,
        lines(({ columns }) => [
          { name: 'saved', y: columns.flops.map((flops, i) => 1 - flops / columns.denseFlops[i]!) },
        ]),
        { fromZero: true },
      )}
      {chart(
        'Speed',
        'tokens/s',
        compact,
        lines(({ columns }) => [{ name: 'tokens/s', y: columns.tokensPerSecond }]),
        { fromZero: true },
      )}
      {hasMfu &&
        chart(
          'Model FLOPs utilisation (MFU)',
          'of a large matrix product',
          share,
          lines(({ columns, peakFlops }) =>
            peakFlops === null ? [] : [{ name: 'MFU', y: columns.flopsPerSecond.map((value) => value / peakFlops) }],
          ),
          { fromZero: true },
        )}
      {chart(
        'Waiting',
        'of the steps’ time',
        share,
        lines(({ columns }) => [
          { name: 'for data', y: columns.dataShare },
          {
            name: 'for other ranks',
            y: columns.waitShare.some((value) => value > 0) ? columns.waitShare : [],
            isDashed: true,
          },
        ]),
        { fromZero: true },
      )}
      {chart(
        'Memory',
        'most so far',
        bytesText,
        lines(({ columns }) => [{ name: 'peak', y: columns.peakMemoryBytes }]),
        { fromZero: true },
      )}
      {chart(
        'Learning rate',
        '',
        scientific,
        lines(({ columns }) => [{ name: 'learning rate', y: columns.learningRate }]),
        { fromZero: true },
      )}
      {chart(
        'Gradient norm',
        'before clipping',
        rounded,
        lines(({ columns }) => [{ name: 'norm', y: columns.gradientNorm }]),
        { isLog },
      )}
    </div>
  );
}
