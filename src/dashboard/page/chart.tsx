import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ChartLine, RunChart } from '../../report/charts.ts';
import { LineSample } from './line-sample.tsx';
import { type RunStyle, useTheme } from './theme.ts';

/** A line through points with increasing x. */
export type Line = ChartLine & RunStyle;

interface ChartProps extends Omit<RunChart, 'lines' | 'mayBeLog'> {
  xLabel: string;
  /** Formats a tick of the horizontal axis. */
  formatX: (value: number) => string;
  /** Says where a point is: `1,200 steps`. */
  sayX: (value: number) => string;
  lines: readonly Line[];
  isLog?: boolean;
}

const height = 240;
const font = '12px system-ui, sans-serif';
/** How many points the PageUp and PageDown keys move by. */
const pagePoints = 40;

/**
 * A line chart: drag to zoom in, double-click to reset. The legend shows the values under the pointer, or those that the arrow
 * keys select, otherwise the last ones.
 */
export function Chart(props: ChartProps) {
  const { title, yLabel, lines, isLog, sayX, format } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [selected, select] = useState<number | null>(null);
  const theme = useTheme();
  const shown = lines.filter(({ y }) => y.some((value) => value !== null && (!isLog || value > 0)));
  const data = dataOf(shown);
  const [xs] = data;
  // The chart is rebuilt if more than its numbers changed.
  const look = JSON.stringify([theme, isLog, props.xLabel, shown.map(({ x: _, y, ...line }) => [line, isSingle(y)])]);

  useEffect(() => {
    if (!box.current || shown.length === 0) return;
    const options = optionsOf(props, shown, box.current.clientWidth, theme, select);
    const made = new uPlot(options, data, box.current);
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

  const leave = () => plot.current?.setCursor({ left: -10, top: -10 });
  const press = (event: KeyboardEvent) => {
    const last = xs.length - 1;
    const from = selected ?? last;
    const moves: Record<string, number> = {
      ArrowLeft: from - 1,
      ArrowRight: from + 1,
      PageUp: from - pagePoints,
      PageDown: from + pagePoints,
      Home: 0,
      End: last,
    };
    const to = Math.max(0, Math.min(last, moves[event.key] ?? Number.NaN));
    if (event.key === 'Escape') leave();
    if (Number.isNaN(to) || !plot.current) return;
    event.preventDefault();
    plot.current.setCursor({ left: plot.current.valToPos(xs[to]!, 'x'), top: height / 3 });
    select(to);
  };
  const at = Math.min(selected ?? Number.POSITIVE_INFINITY, xs.length - 1);
  const values = shown.map((_, i) => lastUpTo(data[i + 1]!, at));
  const place = xs.length > 0 ? `after ${sayX(xs[at]!)}` : '';
  return (
    <figure class="chart" data-chart={title} data-points={xs.length}>
      <figcaption>
        {title} <span class="unit">{yLabel}</span>
      </figcaption>
      {shown.length === 0 ? (
        <p class="empty">no data yet</p>
      ) : (
        <>
          <div
            ref={box}
            role="slider"
            tabIndex={0}
            aria-label={`${title}, ${yLabel}`}
            aria-valuemin={0}
            aria-valuemax={xs.length - 1}
            aria-valuenow={at}
            aria-valuetext={`${place}: ${shown.map(({ name }, i) => `${name} ${said(values[i], format)}`).join('; ')}`}
            onKeyDown={press}
            onBlur={leave}
          />
          <p class="chart-legend">
            <span class="place">{place}:</span>
            {shown.map((line, i) => (
              <span key={line.name}>
                <LineSample {...line} width={widthOf(line)} /> {line.name} <b>{said(values[i], format)}</b>
              </span>
            ))}
          </p>
        </>
      )}
    </figure>
  );
}

const said = (value: number | undefined, format: (value: number) => string) =>
  value === undefined ? '–' : format(value);

/** The last value at or before an index. */
function lastUpTo(values: ArrayLike<number | null | undefined>, index: number): number | undefined {
  for (let i = index; i >= 0; i--) {
    const value = values[i];
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}

const widthOf = ({ isFaint, isThin }: ChartLine) => (isFaint || isThin ? 1 : 2);

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
  select: (index: number | null) => void,
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
    legend: { show: false },
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
      {},
      ...lines.map((line) => ({
        stroke: line.colour,
        width: widthOf(line),
        alpha: line.isFaint ? 0.4 : 1,
        spanGaps: true,
        dash: line.dash,
        points: { show: line.hasPoints ?? isSingle(line.y), size: 6 },
      })),
    ],
    cursor: { drag: { x: true, y: false } },
    hooks: { setCursor: [({ cursor }) => select(cursor.idx ?? null)] },
  };
}

/** The range with a margin above and below, also around a single value. */
function padded(least: number, most: number): [number, number] {
  const room = 0.05 * (most - least) || 0.05 * Math.abs(most) || 1;
  return [least - room, most + room];
}
