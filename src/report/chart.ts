import { type ScaleLinear, scaleLinear, scaleLog } from 'd3-scale';
import { line, symbol, symbolCircle, symbolDiamond, symbolSquare, symbolTriangle } from 'd3-shape';
import { element, textOf } from './svg.ts';

type Point = readonly [x: number, y: number];
type Range = readonly [least: number, most: number];

/** A named line through points. Points that are not finite are gaps. */
export interface Series {
  name: string;
  points: readonly Point[];
}

/** The contents and the look of a line chart. */
export interface LineChartOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  /** Formats the tick labels of the vertical axis (default: compact). */
  format?: ((value: number) => string) | undefined;
  /** Whether the horizontal axis counts whole things, such as blocks. */
  isWhole?: boolean;
  /** Ticks of the horizontal axis; if given, the axis is logarithmic, and points at x ≤ 0 are gaps. */
  logTicks?: readonly number[];
  /** Whether the vertical axis starts at 0, for values that are judged by their size. */
  fromZero?: boolean;
}

/** A tick of an axis: its label, and its position in pixels from the left or the top. */
interface Tick {
  name: string;
  place: number;
}

const size = { width: 900, height: 480 };
/** Where the axes are, in pixels. The right end depends on the legend. */
const [left, top, bottom] = [80, 50, 424];
// Lines differ in dashes and marks as well as colours, so that charts can be read in black and white.
const colours = ['#000000', '#c0392b', '#1f5fa8', '#2e7d32', '#8e5a00', '#6a3d9a', '#00838f', '#ad1457'];
const dashes = ['none', '8,4', '2,3', '12,4,2,4'];
const marks = [
  { shape: symbolCircle, isFilled: true },
  { shape: symbolSquare, isFilled: false },
  { shape: symbolTriangle, isFilled: true },
  { shape: symbolDiamond, isFilled: false },
  { shape: symbolCircle, isFilled: false },
  { shape: symbolSquare, isFilled: true },
  { shape: symbolTriangle, isFilled: false },
  { shape: symbolDiamond, isFilled: true },
];
/** Approximate number of marks on a line; more would cover it. */
const numMarks = 20;
/** Approximate number of tick intervals of an axis. */
const numIntervals = 6;
/** Most characters of a line's name. */
const longestName = 32;

/** A line chart as a self-contained SVG document. */
export function lineChart(options: LineChartOptions): string {
  const { title, xLabel, yLabel, series, format, isWhole, logTicks, fromZero } = options;
  const names = series.length > 1 ? series.map(({ name }) => shortened(name)) : [];
  const legendWidth = names.length > 0 ? 80 + 7.5 * Math.max(...names.map(({ length }) => length)) : 0;
  const right = size.width - 30 - legendWidth;
  const hasPlace = (point: Point) => isShown(point) && !(logTicks && point[0] <= 0);
  const points = series.flatMap(({ points }) => points.filter(hasPlace));
  const [xs, ys] = [rangeOf(points.map(([x]) => x)), rangeOf(points.map(([, y]) => y))];
  const linear = scaleLinear(isWhole ? xs : widened(xs), [left, right]);
  const y = scaleLinear(widened(fromZero ? [Math.min(0, ys[0]), Math.max(0, ys[1])] : ys), [bottom, top]);
  if (!isWhole) linear.nice(numIntervals);
  y.nice(numIntervals);
  const x = logTicks ? scaleLog(widened(xs), [left, right]) : linear;
  const xTicks = logTicks
    ? logTicks
        .filter((value) => points.length > 0 && value >= xs[0] && value <= xs[1])
        .map((value) => ({ name: `${value}`, place: pixel(x(value)) }))
    : ticksOf(linear, isWhole ? Math.min(10, Math.max(1, xs[1] - xs[0])) : numIntervals);
  const yTicks = ticksOf(y, numIntervals, format);
  const placeOf = (point: Point): Point => (hasPlace(point) ? [x(point[0]), y(point[1])] : [Number.NaN, Number.NaN]);
  return svg(title, Math.max(size.height, 70 + 18 * names.length), [
    ...xTicks.map(({ place }) => straight([place, top], [place, bottom], '#dddddd')),
    ...yTicks.map(({ place }) => straight([left, place], [right, place], '#dddddd')),
    straight([left, top], [left, bottom]),
    straight([left, bottom], [right, bottom]),
    xAxis(xLabel, xTicks, right),
    yAxis(yLabel, yTicks),
    ...series.map(({ points }, i) => seriesLine(points.map(placeOf), i, series.length)),
    ...names.map((name, i) => legendEntry(name, i, size.width - legendWidth, names.length > 16 ? 18 : 24)),
    ...(points.length === 0 ? [words('no data', (left + right) / 2, (top + bottom) / 2)] : []),
  ]);
}

/** The end of a long name, where the paths of runs differ. */
const shortened = (name: string) => (name.length > longestName ? `…${name.slice(1 - longestName)}` : name);

/** Whether a point can be drawn: beyond 1e300, the length of an axis may not be finite. */
const isShown = (point: Point) => point.every((value) => Math.abs(value) < 1e300);

function rangeOf(values: readonly number[]): Range {
  if (values.length === 0) return [0, 1];
  const least = values.reduce((least, value) => Math.min(least, value));
  return [least, values.reduce((most, value) => Math.max(most, value))];
}

/** The range itself, widened if all its numbers are the same. */
function widened([least, most]: Range): Range {
  const largest = Math.max(Math.abs(least), Math.abs(most));
  if (largest < 1e-300) return [0, 1]; // d3 cannot divide what is smaller
  return most - least > 1e-9 * largest ? [least, most] : [least - largest / 10, most + largest / 10];
}

function ticksOf(
  scale: ScaleLinear<number, number>,
  count: number,
  name = numberText(scale.domain() as [number, number]),
): Tick[] {
  return scale.ticks(count).map((value) => ({ name: name(value), place: pixel(scale(value)) }));
}

/** Formats numbers of a range: `1.2M`, `1,200`, `0.0012` or `1.2e-5`. */
function numberText([least, most]: Range): (value: number) => string {
  const largest = Math.max(Math.abs(least), Math.abs(most));
  const { format } = new Intl.NumberFormat('en', {
    maximumSignificantDigits: 12,
    notation: largest < 1e6 ? 'standard' : 'compact',
  });
  return (value) => {
    const rounded = Number(value.toPrecision(12));
    if (rounded === 0) return '0';
    return largest < 1e-3 || largest >= 1e15 ? rounded.toExponential().replace('+', '') : format(rounded);
  };
}

/** The `i`th of the lines, with its marks. `places` are pixels. */
function seriesLine(places: readonly Point[], i: number, numSeries: number): string {
  const every = Math.ceil(places.length / numMarks);
  // The marks of each line start at a different point, so that overlapping lines can be told apart.
  const first = Math.floor((i * every) / numSeries);
  const isAlone = (at: number) => [at - 1, at + 1].every((next) => !places[next] || !isShown(places[next]));
  const marked = places.filter((place, at) => isShown(place) && (at % every === first || isAlone(at)));
  return styled(i, line<Point>().defined(isShown)(places) ?? '', marked);
}

/** A path and marks on it, in the style of the `i`th line. */
function styled(i: number, path: string, places: readonly Point[]): string {
  const stroke = colours[i % colours.length]!;
  // The next eight lines repeat marks and colours with different dashes.
  const dash = dashes[(i + Math.floor(i / marks.length)) % dashes.length]!;
  const { shape, isFilled } = marks[i % marks.length]!;
  const mark = symbol(shape, 45)()!;
  return element(
    'g',
    { stroke, fill: 'none' },
    element('path', { d: path, 'stroke-width': 1.8, 'stroke-linejoin': 'round', 'stroke-dasharray': dash }),
    element(
      'g',
      { 'stroke-width': 1.5, fill: isFilled ? stroke : '#ffffff' },
      ...places.map(([x, y]) => element('path', { d: mark, transform: `translate(${pixel(x)},${pixel(y)})` })),
    ),
  );
}

function legendEntry(name: string, i: number, x: number, rowHeight: number): string {
  const y = top + 10 + i * rowHeight;
  return styled(i, `M${x},${y}h44`, [[x + 22, y]]) + words(name, x + 52, y, { 'text-anchor': 'start' });
}

/**
 * A heat map in shades of grey, from white for the minimum to black for the maximum, as an SVG document. `values[y][x]`; the first
 * row is at the bottom. Values that are not finite have no cell.
 */
export function heatMap(options: {
  title: string;
  xLabel: string;
  yLabel: string;
  xNames: readonly string[];
  yNames: readonly string[];
  /** Every how many columns a column is labelled. */
  xNamesEvery: number;
  /** The name of the values, above the colour scale. */
  valueLabel: string;
  values: readonly (readonly number[])[];
  range: Range;
}): string {
  const { title, xLabel, yLabel, xNames, yNames, xNamesEvery, valueLabel, values, range } = options;
  const right = size.width - 110;
  const x = scaleLinear([0, xNames.length], [left, right]);
  const y = scaleLinear([0, yNames.length], [bottom, top]);
  const grey = greyOf(range);
  const cells = values.flatMap((row, j) =>
    row.flatMap((value, i) =>
      Number.isFinite(value) ? rectangle([x(i), y(j + 1)], [x(i + 1), y(j)], { fill: grey(value) }) : [],
    ),
  );
  const yNamesEvery = [1, 2, 5, 10, 20, 50].find((every) => yNames.length / every <= 24) ?? 100;
  const named = (names: readonly string[], every: number, place: (i: number) => number): Tick[] =>
    names.map((name, i) => ({ name, place: pixel(place(i + 0.5)) })).filter((_, i) => i % every === 0);
  return svg(title, size.height, [
    // Anti-aliased edges would show as lines between the cells.
    element('g', { 'shape-rendering': 'crispEdges' }, ...cells),
    rectangle([left, top], [right, bottom], { fill: 'none', stroke: '#000000' }),
    xAxis(xLabel, named(xNames, xNamesEvery, x), right),
    yAxis(yLabel, named(yNames, yNamesEvery, y)),
    ...shades(valueLabel, range, right + 25),
  ]);
}

function greyOf(range: Range): (value: number) => string {
  const shade = scaleLinear(range, [255, 0]).clamp(true);
  return (value) => `#${Math.round(shade(value)).toString(16).padStart(2, '0').repeat(3)}`;
}

/** The grey scale: a column of rectangles, because a gradient needs an id and a page may hold several charts. */
function shades(name: string, range: Range, x: number): string[] {
  const [y, high, count] = [150, 200, 50];
  const value = scaleLinear([0, 1], range);
  const [grey, number] = [greyOf(range), numberText(range)];
  const place = scaleLinear([0, 1], [y + high, y]);
  const steps = Array.from({ length: count }, (_, i) =>
    rectangle([x, place((i + 1) / count)], [x + 18, place(i / count)], { fill: grey(value(i / (count - 1))) }),
  );
  return [
    element('g', { 'shape-rendering': 'crispEdges' }, ...steps),
    rectangle([x, y], [x + 18, y + high], { fill: 'none', stroke: '#000000' }),
    words(name, x + 18, y - 16),
    ...[0, 0.25, 0.5, 0.75, 1].map((part) =>
      words(number(value(part)), x + 25, place(part), { 'text-anchor': 'start' }),
    ),
  ];
}

function xAxis(label: string, ticks: readonly Tick[], right: number): string {
  const named = ticks.map(
    ({ name, place }) => straight([place, bottom], [place, bottom + 6]) + words(name, place, bottom + 15),
  );
  return element('g', { 'aria-label': 'x axis' }, ...named) + words(label, (left + right) / 2, bottom + 40);
}

function yAxis(label: string, ticks: readonly Tick[]): string {
  const [x, y] = [12, (top + bottom) / 2];
  const named = ticks.map(
    ({ name, place }) =>
      straight([left - 6, place], [left, place]) + words(name, left - 9, place, { 'text-anchor': 'end' }),
  );
  const turned = { transform: `rotate(-90 ${x} ${y})` };
  return element('g', { 'aria-label': 'y axis' }, ...named) + words(label, x, y, turned);
}

function svg(title: string, height: number, content: readonly string[]): string {
  const { width } = size;
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      'font-family': 'sans-serif',
      'font-size': 13,
      'text-anchor': 'middle',
    },
    rectangle([0, 0], [width, height], { fill: '#ffffff' }),
    words(title, width / 2, 22, { 'font-size': 16, 'font-weight': 'bold' }),
    ...content,
  );
}

/** Text centred vertically on `y`. */
function words(said: string, x: number, y: number, attributes: Record<string, string | number> = {}): string {
  return element('text', { x: pixel(x), y: pixel(y), dy: '0.35em', fill: '#000000', ...attributes }, textOf(said));
}

function straight([x1, y1]: Point, [x2, y2]: Point, stroke = '#000000'): string {
  return element('line', { x1, y1, x2, y2, stroke });
}

function rectangle([x1, y1]: Point, [x2, y2]: Point, attributes: Record<string, string>): string {
  const place = { x: pixel(x1), y: pixel(y1), width: pixel(x2 - x1), height: pixel(y2 - y1) };
  return element('rect', { ...place, ...attributes });
}

const pixel = (value: number) => Number(value.toFixed(2));
