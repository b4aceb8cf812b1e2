import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heatMap, lineChart } from './chart.ts';

const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);

test('a line chart is one SVG document with its title, its axes and every line named', () => {
  const svg = lineChart({
    title: 'Loss & time',
    xLabel: 'hours',
    yLabel: 'nats',
    series: ['dense', 'pld', 'fade'].map((name, i) => ({
      name,
      points: [
        [0, 9],
        [1, 7 - i],
        [2, 5 - i],
      ],
    })),
  });
  assert.match(svg, /^<svg[^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  for (const text of ['Loss &amp; time', 'hours', 'nats', 'dense', 'pld', 'fade'])
    assert.ok(texts(svg).includes(text), text);
});

test('eight lines are told apart without colour: by dashes and marks', () => {
  const series = Array.from({ length: 8 }, (_, i) => ({
    name: `line ${i}`,
    points: [
      [0, i],
      [1, i + 1],
    ] as const,
  }));
  const svg = lineChart({ title: 't', xLabel: 'x', yLabel: 'y', series });
  const looks = [...svg.matchAll(/<path[^>]*fill="none"[^>]*stroke-width="1\.8"[^>]*>/g)].map(
    ([path]) => /stroke-dasharray="([^"]*)"/.exec(path)?.[1] ?? 'solid',
  );
  assert.equal(new Set(looks).size, 4, looks.join(' | '));
});

test('a line of many points keeps its marks, and a long name leaves room for the lines', () => {
  const points = Array.from({ length: 1000 }, (_, x) => [x, x] as const);
  const name = `${'/very/long'.repeat(20)}/run-7`;
  const svg = lineChart({
    title: 't',
    xLabel: 'x',
    yLabel: 'y',
    series: [
      { name, points },
      { name: 'other', points },
    ],
  });
  const numMarks = svg.match(/<path[^>]*fill="#000000"[^>]*>/g)?.length ?? 0;
  assert.ok(numMarks >= 15 && numMarks <= 30, `${numMarks} marks`);
  const shown = texts(svg).find((text) => text.endsWith('/run-7'));
  assert.equal(shown?.length, 32);
});

test('a heat map is white at the least and black at the most', () => {
  const svg = heatMap({
    title: 't',
    xLabel: 'step',
    yLabel: 'block',
    xNames: ['0', '9'],
    yNames: ['1', '2'],
    values: [
      [1, 0],
      [0.5, 1],
    ],
    range: [0, 1],
    xNamesEvery: 1,
    valueLabel: 'rate',
  });
  assert.doesNotMatch(svg, /NaN|undefined/);
  const fills = [...svg.matchAll(/fill="(rgb[^"]*|#[0-9a-f]{3,6})"/gi)].map(([, fill]) => fill);
  for (const shade of [
    /^(#000(000)?|rgb\(0,0,0\))$/,
    /^(#fff(fff)?|rgb\(255,255,255\))$/,
    /^(#808080|rgb\((127|128),.*\))$/,
  ]) {
    assert.ok(
      fills.some((fill) => shade.test(fill!)),
      `${shade} in ${[...new Set(fills)]}`,
    );
  }
});
