import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ChartLine, RunChart } from '../../report/charts.ts';
import { useTheme } from './theme.ts';

/** A line through points with increasing x. */
export interface Line extends ChartLine {
  colour: string;
}

export interface ChartProps extends Omit<RunChart, 'lines' | 'mayBeLog'> {
  xLabel: string;
  formatX: (value: number) => string;
  lines: readonly Line[];
  isLog?: boolean;
}

const height = 260;
const font = '12px system-ui, sans-serif';

/** A line chart: drag to zoom in, double-click to reset; the legend shows the values under the pointer. */
export function Chart(props: ChartProps) {
  const { title, yLabel, lines, isLog } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const theme = useTheme();
  const shown = lines.filter(({ y }) => y.some((value) => value !== null && (!isLog || value > 0)));
  const data = dataOf(shown);
  // The chart is rebuilt if more than its numbers changed.
  const look = JSON.stringify([theme, isLog, props.xLabel, shown.map(({ x: _, y, ...line }) => [line, isSingle(y)])]);

  useEffect(() => {
    if (!box.current || shown.length === 0) return;
    const made = new uPlot(optionsOf(props, shown, box.current.clientWidth, theme), data, box.current);
    plot.current = made;
    const resized = new ResizeObserver(([entry]) => made.setSize({ width: entry!.contentRect.width, height }));
    resized.observe(box.current);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [look]);
  useEffect(() => {
    plot.current?.setData(data);
  }, [lines]);

  const latest = shown
    .filter(({ isFaint }) => !isFaint)
    .map(({ name, y }) => {
      const last = y.findLast((value) => value !== null);
      return `${name} ${last === undefined || last === null ? '' : props.format(last)}`;
    });
  return (
    <figure class="chart" data-chart={title} data-points={data[0].length}>
      <figcaption>
        {title} <span class="unit">{yLabel}</span>
      </figcaption>
      <div ref={box} role="img" aria-label={`${title}, ${yLabel}; last: ${latest.join('; ')}`} />
      {shown.length === 0 && <p class="empty">no data yet</p>}
    </figure>
  );
}

/** A single point makes no line and is drawn as a mark. */
const isSingle = (y: Line['y']) => y.filter((value) => value !== null).length === 1;

/** All lines on one list of x values, as uPlot requires. */
function dataOf(lines: readonly Line[]): uPlot.AlignedData {
  if (lines.length === 0) return [[]];
  return uPlot.join(lines.map(({ x, y }) => [[...x], [...y]] as uPlot.AlignedData));
}

function optionsOf(
  { format, formatX, xLabel, isLog, fromZero }: ChartProps,
  lines: readonly Line[],
  width: number,
  { ink, grid }: { ink: string; grid: string },
): uPlot.Options {
  const axis = {
    stroke: ink,
    font,
    labelFont: font,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
  };
  return {
    width,
    height,
    scales: {
      x: { time: false },
      y: isLog
        ? { distr: 3 }
        : { range: (_plot, least, most) => (fromZero ? [Math.min(0, least), most * 1.05 || 1] : padded(least, most)) },
    },
    axes: [
      { ...axis, label: xLabel, labelSize: 20, values: (_plot, values) => values.map(formatX) },
      { ...axis, size: 64, values: (_plot, values) => values.map((value) => (value === null ? '' : format(value))) },
    ],
    series: [
      { label: xLabel, value: (_plot, value) => (value === null ? '' : formatX(value)) },
      ...lines.map(({ name, colour, y, isFaint, isDashed, hasPoints }) => ({
        label: name,
        stroke: colour,
        width: isFaint ? 1 : 2,
        alpha: isFaint ? 0.3 : 1,
        spanGaps: true,
        ...(isDashed && { dash: [6, 4] }),
        points: { show: hasPoints ?? isSingle(y), size: 6 },
        value: (_plot: uPlot, value: number | null) => (value === null || value === undefined ? '' : format(value)),
      })),
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

/** The range with a margin above and below, also around a single value. */
function padded(least: number, most: number): [number, number] {
  const room = 0.05 * (most - least) || 0.05 * Math.abs(most) || 1;
  return [least - room, most + room];
}
