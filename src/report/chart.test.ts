import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMParser, type Element, onErrorStopParsing } from '@xmldom/xmldom';
import { heatMap, type LineChartOptions, lineChart } from './chart.ts';

const parsed = (svg: string) =>
  new DOMParser({ onError: onErrorStopParsing }).parseFromString(svg, 'image/svg+xml').documentElement!;
const texts = (svg: string) => [...parsed(svg).getElementsByTagName('text')].map(({ textContent }) => textContent);
const chart = (options: Partial<LineChartOptions>) =>
  lineChart({ title: 't', xLabel: 'x', yLabel: 'y', series: [], ...options });

const children = (element: Element) => [...element.childNodes] as Element[];
const found = (svg: string, tag: string, attribute: string, value: string) =>
  [...parsed(svg).getElementsByTagName(tag)].filter((element) => element.getAttribute(attribute) === value);
/** The lines of a chart with their marks, then those of its legend. */
const linesOf = (svg: string) =>
  found(svg, 'path', 'stroke-width', '1.8').map((line) => ({ line, marks: children(line.nextSibling as Element) }));
const fillOf = (marks: readonly Element[]) => (marks[0]!.parentNode as Element).getAttribute('fill');
/** The ticks of an axis: what they say, and where. */
const ticks = (svg: string, axis: 'x' | 'y') =>
  [...found(svg, 'g', 'aria-label', `${axis} axis`)[0]!.getElementsByTagName('text')].map((label) => ({
    name: label.textContent!,
    place: Number(label.getAttribute(axis)),
  }));
const ramp = (length: number, y: (x: number) => number) => Array.from({ length }, (_, x) => [x, y(x)] as const);

test('a line chart is one SVG document with its title, its axes and every line named', () => {
  const series = ['dense', 'pld', 'fade'].map((name, i) => ({ name, points: ramp(3, (x) => 9 - i * x) }));
  const svg = lineChart({ title: 'Loss & time', xLabel: 'hours', yLabel: 'nats', series });
  assert.match(svg, /^<svg[^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  for (const text of ['Loss & time', 'hours', 'nats', 'dense', 'pld', 'fade'])
    assert.ok(texts(svg).includes(text), text);
  assert.equal(lineChart({ title: 'Loss & time', xLabel: 'hours', yLabel: 'nats', series }), svg);
});

test('a chart has a white background, and nothing that touches another one in the same page', () => {
  const svg = chart({ series: [{ name: 'a', points: ramp(3, (x) => x) }] });
  const [background] = children(parsed(svg));
  assert.deepEqual(
    ['x', 'y', 'width', 'height', 'fill'].map((name) => background!.getAttribute(name)),
    ['0', '0', '900', '480', '#ffffff'],
  );
  assert.doesNotMatch(svg, /<style| (class|id|style)=|url\(|href/);
});

test('names from files are shown as text, with any characters', () => {
  const name = '<b>&"\'</text>]]>';
  const points = ramp(2, (x) => x);
  const svg = chart({
    title: name,
    xLabel: name,
    yLabel: name,
    series: [name, '\u0001\ud800'].map((name) => ({ name, points })),
  });
  assert.equal(texts(svg).filter((text) => text === name).length, 4);
  assert.ok(texts(svg).includes('\ufffd\ufffd'));
});

test('eight lines are told apart without colour: by dashes and marks', () => {
  const series = Array.from({ length: 8 }, (_, i) => ({ name: `line ${i}`, points: ramp(2, (x) => x + i) }));
  const svg = chart({ series });
  const dashes = linesOf(svg).map(({ line }) => line.getAttribute('stroke-dasharray'));
  assert.equal(new Set(dashes).size, 4, dashes.join(' | '));
  const marks = linesOf(svg).map(({ line, marks }) => {
    const [colour, fill] = [(line.parentNode as Element).getAttribute('stroke'), fillOf(marks)];
    assert.ok(fill === colour || fill === '#ffffff');
    return `${marks[0]!.getAttribute('d')} ${fill === colour}`;
  });
  assert.equal(new Set(marks).size, 8, marks.join('\n'));
  // The legend shows the same.
  assert.deepEqual(dashes.slice(8), dashes.slice(0, 8));
  assert.deepEqual(marks.slice(8), marks.slice(0, 8));
});

test('points are at their place on the axes', () => {
  const points = [
    [0, 0],
    [4, 60],
    [10, 100],
  ] as const;
  const svg = chart({ series: [{ name: 'a', points }] });
  const place = (axis: 'x' | 'y', value: number) => ticks(svg, axis).find(({ name }) => name === `${value}`)!.place;
  const places = points.map(([x, y]) => `${place('x', x)},${place('y', y)}`);
  const { line, marks } = linesOf(svg)[0]!;
  assert.equal(line.getAttribute('d'), `M${places.join('L')}`);
  assert.deepEqual(
    marks.map((mark) => mark.getAttribute('transform')),
    places.map((place) => `translate(${place})`),
  );
  assert.ok(place('x', 10) > place('x', 4) && place('y', 100) < place('y', 60));
});

test('a line of many points keeps its marks, and a long name leaves room for the lines', () => {
  const points = ramp(1000, (x) => x);
  const name = `${'/very/long'.repeat(20)}/run-7`;
  const svg = chart({
    series: [
      { name, points },
      { name: 'other', points },
    ],
  });
  for (const { marks } of linesOf(svg).slice(0, 2))
    assert.ok(marks.length >= 15 && marks.length <= 30, `${marks.length} marks`);
  const shown = texts(svg).find((text) => text?.endsWith('/run-7'));
  assert.equal(shown?.length, 32);
});

test('lines that lie on each other show the marks of both', () => {
  const points = ramp(100, (x) => x);
  const svg = chart({ series: ['a', 'b'].map((name) => ({ name, points })) });
  const [circles, squares] = linesOf(svg).map(({ marks }) => marks.map((mark) => mark.getAttribute('transform')));
  assert.equal(circles!.length, 20);
  assert.ok(circles!.every((place) => !squares!.includes(place)));
});

test('a point that is not finite is a gap, and a point alone has its mark', () => {
  const gap = ramp(60, (x) => (x > 20 && x < 40 && x !== 33 ? Number.NaN : x));
  const { line } = linesOf(chart({ series: [{ name: 'a', points: gap }] }))[0]!;
  assert.equal(line.getAttribute('d')!.match(/M/g)!.length, 3);
  const withOne = (x: number) => ramp(60, (at) => (at === x ? 1 : Number.NaN));
  for (const points of [[[5, 2] as const], withOne(33), withOne(0), withOne(59)]) {
    const svg = chart({ series: [{ name: 'a', points }] });
    assert.equal(linesOf(svg)[0]!.marks.length, 1);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  }
});

test('numbers that are all the same, or at the ends of what a double holds, are drawn', () => {
  for (const [low, high] of [
    [5, 5],
    [0, 0],
    [-5, -2],
    [1, 1 + 1e-12],
    [0, 1e-320],
    [-1e299, 1e299],
    [2, Number.POSITIVE_INFINITY],
  ] as const) {
    const points = [
      [0, low],
      [1, high],
    ] as const;
    for (const fromZero of [true, false]) {
      const svg = chart({ fromZero, series: [{ name: 'a', points }] });
      assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
      const names = ticks(svg, 'y').map(({ name }) => name);
      assert.ok(names.length >= 3 && new Set(names).size === names.length, names.join(' '));
    }
  }
});

test('a chart of nothing says so', () => {
  for (const points of [[], [[1, Number.NaN] as const]]) {
    const svg = chart({ series: [{ name: 'a', points }] });
    assert.ok(texts(svg).includes('no data'));
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  }
});

test('large and small numbers on an axis are short', () => {
  const names = (most: number) =>
    ticks(chart({ series: [{ name: 'a', points: ramp(5, (x) => (x * most) / 4) }] }), 'y').map(({ name }) => name);
  assert.deepEqual(names(1.2e6), ['0', '200K', '400K', '600K', '800K', '1M', '1.2M']);
  assert.deepEqual(names(12_000), ['0', '2,000', '4,000', '6,000', '8,000', '10,000', '12,000']);
  assert.deepEqual(names(0.3), ['0', '0.05', '0.1', '0.15', '0.2', '0.25', '0.3']);
  assert.deepEqual(names(1e-4), ['0', '2e-5', '4e-5', '6e-5', '8e-5', '1e-4']);
  assert.deepEqual(names(1e30), ['0', '2e29', '4e29', '6e29', '8e29', '1e30']);
});

test('an axis that counts has whole numbers only', () => {
  const names = (blocks: number) => {
    const points = ramp(blocks, (x) => x).map(([x, y]) => [x + 1, y] as const);
    return ticks(chart({ isWhole: true, series: [{ name: 'a', points }] }), 'x').map(({ name }) => name);
  };
  assert.deepEqual(names(1), ['1']);
  assert.deepEqual(names(2), ['1', '2']);
  assert.deepEqual(names(12), ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']);
  assert.ok(names(96).every((name) => Number.isInteger(Number(name))));
});

test('a vertical axis begins at 0 when asked to', () => {
  const series = [{ name: 'a', points: ramp(5, (x) => 100 + x) }];
  const lowest = (svg: string) => ticks(svg, 'y').reduce((low, tick) => (tick.place > low.place ? tick : low));
  assert.equal(lowest(chart({ series, fromZero: true })).name, '0');
  assert.equal(lowest(chart({ series })).name, '100');
});

test('a heat map is white at the least and black at the most, with the first row at the bottom', () => {
  const svg = heatMap({
    title: 't',
    xLabel: 'step',
    yLabel: 'block',
    xNames: ['0', '9', '18'],
    yNames: ['1', '2'],
    values: [
      [1, 0, 1],
      [0.5, Number.NaN, 2],
    ],
    range: [0, 1],
    xNamesEvery: 2,
    valueLabel: 'rate',
  });
  assert.doesNotMatch(svg, /NaN|undefined/);
  const cells = children(found(svg, 'g', 'shape-rendering', 'crispEdges')[0]!);
  const of = (name: string) => cells.map((cell) => cell.getAttribute(name));
  // 2 is above the range; NaN has no cell.
  const [black, white, grey] = ['#000000', '#ffffff', '#808080'];
  assert.deepEqual(of('fill'), [black, white, black, grey, black]);
  assert.ok(Number(of('y')[0]) > Number(of('y')[3]));
  assert.ok(Number(of('x')[0]) < Number(of('x')[1]));
  assert.deepEqual(
    ticks(svg, 'x').map(({ name }) => name),
    ['0', '18'],
  );
  const [first, second] = ticks(svg, 'y');
  assert.ok(first!.name === '1' && second!.name === '2' && first!.place > second!.place);
  for (const text of ['t', 'step', 'block', 'rate', '0.25']) assert.ok(texts(svg).includes(text), text);
});

test('a logarithmic axis has the ticks that it is given, those within its range', () => {
  const points = [1, 2, 4, 8].map((x) => [x, x] as const);
  const svg = chart({ series: [{ name: 'a', points }], logTicks: [0.5, 1, 2, 4, 8, 16] });
  const found = ticks(svg, 'x');
  assert.deepEqual(
    found.map(({ name }) => name),
    ['1', '2', '4', '8'],
  );
  const steps = found.slice(1).map(({ place }, i) => place - found[i]!.place);
  assert.ok(
    steps.every((step) => Math.abs(step - steps[0]!) < 0.2),
    `${steps}`,
  );
});

test('a logarithmic axis has no place for 0 and less: such points are gaps', () => {
  const curve = (...xs: number[]) =>
    chart({ logTicks: [1, 10], series: [{ name: 'a', points: xs.map((x) => [x, x]) }] });
  assert.equal(curve(0, -3, 1, 10), curve(Number.NaN, Number.NaN, 1, 10));
  for (const svg of [curve(0, 1, 10), curve(0), curve()]) assert.doesNotMatch(svg, /NaN|Infinity/);
  assert.ok(texts(curve(0)).includes('no data'));
});
