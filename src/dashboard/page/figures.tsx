import { type Axis, axes, lossCharts, otherCharts, type RunChart } from '../../report/charts.ts';
import { compact, duration } from '../../report/format.ts';
import type { ShownRun } from '../api.ts';
import { Chart, type Line } from './chart.tsx';
import { HeatMap } from './heat-map.tsx';
import { runColours } from './theme.ts';
import type { View } from './view.ts';

const formatX: Record<Axis, (value: number) => string> = {
  step: compact,
  samples: compact,
  tokens: compact,
  flops: (value) => (value === 0 ? '0' : value.toExponential(1)),
  seconds: duration,
};

/** All charts, with the runs overlaid. */
export function Figures({ runs, view }: { runs: readonly ShownRun[]; view: View }) {
  const linesOf = (chart: RunChart): Line[] =>
    runs.flatMap((run, i) =>
      chart.lines(run, view).map((line) => ({
        ...line,
        colour: runColours[i]!,
        name: runs.length === 1 ? line.name : `${run.name} ${line.name}`,
      })),
    );
  const draw = (charts: readonly RunChart[]) =>
    charts.map((chart) => (
      <Chart
        key={chart.title}
        {...chart}
        xLabel={axes[view.x]}
        formatX={formatX[view.x]}
        isLog={view.isLog && chart.mayBeLog === true}
        lines={linesOf(chart)}
      />
    ));
  return (
    <div class="figures">
      {draw(lossCharts)}
      {runs.map((run) => (
        <HeatMap key={run.name} run={run} />
      ))}
      {draw(otherCharts)}
    </div>
  );
}
