import { init } from 'echarts/dist/echarts.esm.min.mjs';

/** A named line through points. */
export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
}

export interface LineChartOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  /** How a value is written beside the vertical axis. */
  format?: (value: number) => string;
  /** Whether the horizontal axis counts something whole, such as blocks. */
  isWhole?: boolean;
  /** Whether the vertical axis begins at 0, as for what is to be judged by its size. */
  fromZero?: boolean;
}

const size = { width: 900, height: 480 };
// Lines are told apart by dashes and marks, so that a print in black and white can be read; colours come on top.
const colours = ['#000000', '#c0392b', '#1f5fa8', '#2e7d32', '#8e5a00', '#6a3d9a', '#00838f', '#ad1457'];
const dashes = ['solid', [8, 4], [2, 3], [12, 4, 2, 4]] as const;
const marks = ['circle', 'emptyRect', 'triangle', 'emptyDiamond', 'emptyCircle', 'rect', 'emptyTriangle', 'diamond'];
/** Marks on a line, about; more would cover it. */
const numMarks = 20;
/** Characters of a line's name. */
const longestName = 32;
const text = { color: '#000', fontFamily: 'sans-serif', fontSize: 13 };
const axisName = (name: string, gap: number) => ({
  name,
  nameLocation: 'middle' as const,
  nameGap: gap,
  nameTextStyle: text,
});
const axisLook = {
  axisLabel: text,
  axisLine: { show: true, lineStyle: { color: '#000' } },
  splitLine: { lineStyle: { color: '#ddd' } },
};

/** Lines as an SVG document that needs nothing else. */
export function lineChart({ title, xLabel, yLabel, series, format, isWhole, fromZero }: LineChartOptions): string {
  const names = series.length > 1 ? series.map(({ name }) => shortened(name)) : [];
  const legendWidth = names.length > 0 ? 80 + 7.5 * Math.max(...names.map(({ length }) => length)) : 0;
  return render({
    title: titleOf(title),
    legend: {
      data: names,
      orient: 'vertical',
      top: 50,
      left: size.width - legendWidth,
      itemWidth: 44,
      itemGap: Math.min(10, Math.max(0, (size.height - 60) / names.length - 15)),
      textStyle: text,
    },
    grid: { left: 80, right: 30 + legendWidth, top: 50, bottom: 56 },
    xAxis: {
      type: 'value',
      scale: true,
      ...(isWhole && { minInterval: 1, min: 'dataMin', max: 'dataMax' }),
      ...axisName(xLabel, 32),
      ...axisLook,
    },
    yAxis: {
      type: 'value',
      scale: !fromZero,
      ...axisName(yLabel, 56),
      ...axisLook,
      axisLabel: { ...text, ...(format && { formatter: format }) },
    },
    series: series.map(({ name, points }, i) => ({
      type: 'line' as const,
      name: shortened(name),
      data: points.map(([x, y], at) => ({
        value: [x, y],
        ...(at % Math.ceil(points.length / numMarks) !== 0 && { symbol: 'none' }),
      })),
      symbol: marks[i % marks.length]!,
      symbolSize: 7,
      showAllSymbol: true,
      itemStyle: { color: colours[i % colours.length]! },
      lineStyle: { width: 1.8, color: colours[i % colours.length]!, type: dashOf(i) },
    })),
  });
}

/** The end of a long name, which is where the paths of runs differ. */
const shortened = (name: string) => (name.length > longestName ? `…${name.slice(1 - longestName)}` : name);

/** Another dash where marks and colours come round again. */
const dashOf = (i: number) => {
  const dash = dashes[(i + Math.floor(i / marks.length)) % dashes.length]!;
  return dash === 'solid' ? dash : [...dash];
};

/** A grid of numbers as shades of grey, white the least. `values[y][x]`; the first row stands at the bottom. */
export function heatMap(options: {
  title: string;
  xLabel: string;
  yLabel: string;
  xNames: readonly string[];
  yNames: readonly string[];
  /** One in so many columns is named. */
  xNamesEvery: number;
  /** What the numbers are. */
  valueLabel: string;
  values: readonly (readonly number[])[];
  range: readonly [least: number, most: number];
}): string {
  const { title, xLabel, yLabel, xNames, yNames, xNamesEvery, valueLabel, values, range } = options;
  return render({
    title: titleOf(title),
    grid: { left: 80, right: 110, top: 50, bottom: 56 },
    xAxis: {
      type: 'category',
      data: [...xNames],
      ...axisName(xLabel, 32),
      ...axisLook,
      axisLabel: { ...text, interval: (column: number) => column % xNamesEvery === 0 },
    },
    yAxis: { type: 'category', data: [...yNames], ...axisName(yLabel, 46), ...axisLook },
    visualMap: {
      min: range[0],
      max: range[1],
      text: [`${valueLabel} ${range[1]}`, String(range[0])],
      calculable: false,
      right: 10,
      top: 'center',
      inRange: { color: ['#ffffff', '#000000'] },
      textStyle: text,
    },
    series: [{ type: 'heatmap', data: values.flatMap((row, y) => row.map((value, x) => [x, y, value])) }],
  });
}

const titleOf = (title: string) => ({ text: title, left: 'center', top: 8, textStyle: { ...text, fontSize: 16 } });

function render(option: object): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption({ backgroundColor: '#fff', animation: false, textStyle: text, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
