import { counted } from '../../errors/index.ts';
import { type Axis, axes, chartGroups, isDense, type RunChart } from '../../report/charts.ts';
import { compact, duration, flopsText } from '../../report/format.ts';
import type { ShownRun } from '../api.ts';
import { Chart, type Line } from './chart.tsx';
import { HeatMap } from './heat-map.tsx';
import { runStyles } from './theme.ts';
import type { View } from './view.ts';

type Format = (value: number) => string;

/** For each axis, the text of a tick, and that of a place in a sentence. */
const formats: Record<Axis, { tick: Format; said: Format }> = {
  step: { tick: compact, said: (step) => counted(step, 'step') },
  samples: { tick: compact, said: (samples) => counted(samples, 'sample') },
  tokens: { tick: compact, said: (tokens) => counted(tokens, 'token') },
  flops: { tick: (value) => (value === 0 ? '0' : value.toExponential(1)), said: flopsText },
  seconds: { tick: duration, said: duration },
};

/** All charts in their groups, with the runs overlaid. */
export function Figures({ runs, view }: { runs: readonly ShownRun[]; view: View }) {
  const { tick, said } = formats[view.x];
  if (runs.every(({ columns, evaluations }) => columns.step.length === 0 && evaluations.length === 0))
    return <p class="empty">No steps yet: the text is being prepared. The charts appear with the first step.</p>;
  const linesOf = ({ lines }: RunChart): Line[] =>
    runs.flatMap((run, i) => {
      const own = lines(run, view).filter(({ isFaint }) => runs.length === 1 || !isFaint);
      const nameOf = (line: string) =>
        [...(runs.length > 1 ? [run.name] : []), ...(runs.length === 1 || own.length > 1 ? [line] : [])].join(' ');
      return own.map((line) => ({ ...line, ...runStyles[i]!, name: nameOf(line.name) }));
    });
  const groups = chartGroups.filter(({ isOnDepth }) => !isOnDepth || !runs.every(isDense));
  return (
    <>
      {groups.map(({ title, charts, isOnDepth }) => (
        <details key={title} open>
          <summary>
            <h3>{title}</h3>
          </summary>
          <div class="figures">
            {isOnDepth && runs.map((run) => <HeatMap key={run.name} run={run} />)}
            {charts.map((chart) => (
              <Chart
                key={chart.title}
                {...chart}
                xLabel={axes[view.x]}
                formatX={tick}
                sayX={said}
                isLog={view.isLog && chart.mayBeLog === true}
                lines={linesOf(chart)}
              />
            ))}
          </div>
        </details>
      ))}
    </>
  );
}
