import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import MarkdownIt from 'markdown-it';
import { counted, startedText } from '../errors/index.ts';
import type { LogLine } from '../runs/index.ts';
import { heatMap, lineChart, type Series } from './chart.ts';
import { lossCharts, otherCharts, type RunChart } from './charts.ts';
import type { Comparison } from './compare.ts';
import { comparisonNote, comparisonTables } from './comparison-tables.ts';
import { bytesText, duration, flopsText, markdownTable, percent, rounded } from './format.ts';
import type { RunView } from './run-view.ts';
import type { Columns } from './series.ts';

/** A run in a report. */
export interface ReportedRun extends RunView {
  name: string;
}

/** A report as Markdown, and its figures: SVG documents by file name. */
export interface Report {
  markdown: string;
  figures: Record<string, string>;
}

const cards = fileURLToPath(new URL('../../../docs/methods', import.meta.url));
/** The most columns of a heat map: more cannot be seen on paper. */
const numColumns = 100;
/** The weight of the average so far in a smoothed line. */
const smoothing = 0.9;

/**
 * A full report of runs: results and costs, figures, excerpts of their methods' cards, settings, and how and where they were
 * trained. `comparison` is the result of `compareRuns`, or the reason why they cannot be compared. `folder` is where the figures
 * will be written.
 */
export function reportOf(
  runs: readonly ReportedRun[],
  { comparison, folder }: { comparison?: Comparison | string | undefined; folder?: string } = {},
): Report {
  const figures: Report['figures'] = {};
  const figure = (file: string, svg: string) => {
    figures[file] = svg;
    const place =
      folder === undefined
        ? file
        : `${encodeURIComponent(folder).replace(/[()]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}/${file}`;
    return `![${file.replace('.svg', '').replaceAll('-', ' ')}](${place})`;
  };
  const parts = [
    `# ${runs.map(({ name }) => text(name)).join(', ')}`,
    `Written by taper on ${new Date().toISOString().slice(0, 10)}. Losses are in nats. Held-out text is never trained on; held-out losses are those of the dense model.`,
    '## Results',
    resultsTable(runs),
    ...(typeof comparison === 'string'
      ? [`Not compared: ${text(comparison)}`]
      : comparison
        ? comparisonParts(comparison)
        : []),
    '## Figures',
    ...figuresOf(runs).map(([file, svg]) => figure(file, svg)),
    ...cardsOf(runs),
    ...settingsParts(runs),
    '## Training environment',
    ...runs.flatMap(environmentParts),
  ];
  return { markdown: `${parts.join('\n\n')}\n`, figures };
}

/** A report as one self-contained HTML document with the figures inline. */
export function reportHtml({ markdown, figures }: Report): string {
  const body = new MarkdownIt()
    .render(markdown)
    .replace(
      /<p><img src="([^"]+)" alt="([^"]*)"><\/p>/g,
      (_, file: string, alt: string) => `<figure role="img" aria-label="${alt}">${figures[file]}</figure>`,
    );
  const [, title = ''] = /<h1>(.*?)<\/h1>/.exec(body) ?? [];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
${body}</body>
</html>
`;
}

const style = `
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1b1d21; background: #fff }
h1 { font-size: 1.5rem } h2 { margin-top: 2rem; font-size: 1.2rem } h1, h2, h3, code { overflow-wrap: anywhere }
table { display: block; overflow-x: auto; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #dcdfe4; text-align: left; vertical-align: top }
figure { margin: 1.5rem 0 } figure svg { max-width: 100%; height: auto }
pre { overflow-x: auto; padding: .6rem; background: #f5f6f8 }
@media print { figure, table { break-inside: avoid } }
`;

/** Foreign text, escaped so that Markdown shows it literally. */
function text(words: string): string {
  return words.replace(/[\\`*_{}[\]<>#|&~]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const orDash = <T>(value: T | null | undefined, write: (value: T) => string) =>
  value === null || value === undefined ? '–' : write(value);

function resultsTable(runs: readonly ReportedRun[]): string {
  const rows: [string, (run: ReportedRun) => string][] = [
    ['method', ({ config }) => text(JSON.parse(new Map(config).get('depth.method')!) as string)],
    ['steps', ({ columns }) => (columns.step.at(-1) ?? 0).toLocaleString('en')],
    ['samples', ({ columns }) => (columns.samples.at(-1) ?? 0).toLocaleString('en')],
    ['tokens', ({ columns }) => (columns.tokens.at(-1) ?? 0).toLocaleString('en')],
    ['held-out loss', ({ evaluations }) => orDash(evaluations.at(-1)?.loss, (loss) => loss.toFixed(4))],
    ['perplexity', ({ evaluations }) => orDash(evaluations.at(-1)?.perplexity, rounded)],
    ['accuracy', ({ evaluations }) => orDash(evaluations.at(-1)?.accuracy, percent)],
    ['FLOPs', ({ columns }) => orDash(columns.flops.at(-1), flopsText)],
    ['step time', ({ columns }) => orDash(columns.seconds.at(-1), duration)],
    ['block FLOPs saved', ({ saved }) => percent(saved.blockFlops)],
    ['step FLOPs saved', ({ saved }) => percent(saved.stepFlops)],
    ['time saved', ({ saved }) => orDash(saved.time, percent)],
    ['model FLOPs utilisation (MFU)', ({ columns, peakFlops }) => orDash(mfu(columns, peakFlops), percent)],
    ['peak memory', ({ columns }) => orDash(columns.peakMemoryBytes.at(-1), bytesText)],
  ];
  return markdownTable([
    ['', ...runs.map(({ name }) => text(name))],
    ...rows.map(([name, of]) => [name, ...runs.map(of)]),
  ]);
}

function mfu({ flops, seconds }: Columns, peakFlops: number | null): number | undefined {
  return peakFlops === null || seconds.length === 0 ? undefined : flops.at(-1)! / seconds.at(-1)! / peakFlops;
}

/** The comparison without its first table, which repeats the results. */
function comparisonParts(comparison: Comparison): string[] {
  const [, ...tables] = comparisonTables(comparison, text);
  return [...tables.flatMap(({ title, rows }) => [`### ${title}`, markdownTable(rows)]), comparisonNote];
}

/** A chart of the runs over their steps, with smoothed lines instead of the raw ones. */
function draw({ title, yLabel, format, fromZero = false, lines }: RunChart, runs: readonly ReportedRun[]): string[] {
  const series = runs.flatMap((run): Series[] => {
    const own = lines(run, { x: 'step', smoothing }).filter(({ isFaint }) => !isFaint);
    return own.map(({ name, x, y }) => ({
      name: own.length === 1 ? run.name : `${run.name} ${name}`,
      points: x.flatMap((at, i) => (y[i] === null ? [] : [[at, y[i]!] as const])),
    }));
  });
  if (series.length === 0) return [];
  return [lineChart({ title, xLabel: 'step', yLabel, series, fromZero, format })];
}

function figuresOf(runs: readonly ReportedRun[]): [file: string, svg: string][] {
  const drawn = (charts: readonly RunChart[]) =>
    charts.flatMap((chart) => draw(chart, runs).map((svg): [string, string] => [`${slug(chart.title)}.svg`, svg]));
  return [
    ...drawn(lossCharts),
    ...runs.flatMap((run, i): [string, string][] =>
      run.columns.step.length > 0 ? [[`keep-rates-${i + 1}.svg`, keepRates(run)]] : [],
    ),
    ...drawn(otherCharts),
  ];
}

/** `Held-out loss` as `held-out-loss`. */
const slug = (title: string) =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, '-')
    .replace(/-$/, '');

function keepRates({ name, layers, columns }: ReportedRun): string {
  const every = Math.ceil(columns.step.length / numColumns);
  const shown = [...columns.step.keys()].filter((i) => i % every === 0);
  return heatMap({
    title: `Keep rate of each block: ${name}`,
    xLabel: 'step',
    yLabel: 'block',
    xNames: shown.map((i) => String(columns.step[i])),
    xNamesEvery: Math.ceil(shown.length / 5),
    yNames: Array.from({ length: layers }, (_, l) => String(l + 1)),
    valueLabel: 'keep rate',
    values: Array.from({ length: layers }, (_, l) => shown.map((i) => columns.keepRates[i]![l]!)),
    range: [0, 1],
  });
}

/** Excerpts from the card of each method: what it does, our measurements, its cost and its source. */
function cardsOf(runs: readonly ReportedRun[]): string[] {
  const methods = [...new Set(runs.map(({ config }) => JSON.parse(new Map(config).get('depth.method')!) as string))];
  return methods.flatMap((method) => {
    const card = readFileSync(`${cards}/${method}.md`, 'utf8');
    const part = (name: string) => new RegExp(`\\*\\*${name}\\*\\*[^]*?(?=\\n\\n|$)`).exec(card)?.[0];
    // Links in a card are relative to taper's documents.
    const plain = (words: string) => words.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
    const parts = ['What it does\\.', 'What we measured\\.', 'What it costs\\.', 'Source\\.'].flatMap(
      (name) => part(name) ?? [],
    );
    return [`## The method \`${method}\``, ...parts.map(plain)];
  });
}

function settingsParts(runs: readonly ReportedRun[]): string[] {
  const maps = runs.map(({ config }) => new Map(config));
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const row = (key: string) => [key, ...maps.map((map) => text(map.get(key) ?? '–'))];
  const head = ['setting', ...runs.map(({ name }) => text(name))];
  const differing = keys.filter((key) => new Set(maps.map((map) => map.get(key))).size > 1);
  return [
    ...(runs.length > 1
      ? ['## Settings that differ', differing.length > 0 ? markdownTable([head, ...differing.map(row)]) : 'None.']
      : []),
    '## All settings',
    markdownTable([head, ...keys.map(row)]),
  ];
}

function environmentParts({ name, log, brokenLines }: ReportedRun): string[] {
  const starts = log.filter((line) => line.type === 'start');
  const said = (type: LogLine['type']) => log.flatMap((line) => (line.type === type && 'text' in line ? [line] : []));
  const [ends, warnings] = [said('end'), said('warning')];
  const broken =
    brokenLines > 0
      ? [`The numbers leave out ${counted(brokenLines, 'line')} of its files that could not be read.`]
      : [];
  if (starts.length === 0) return [`### ${text(name)}`, 'The run logged no training environment.', ...broken];
  return [
    `### ${text(name)}`,
    ...starts.flatMap(({ time, step, command, environment: on }) => [
      `Started at step ${step}, ${text(time.slice(0, 19).replace('T', ' '))} UTC:`,
      `    ${startedText(command).replaceAll('\n', ' ')}`,
      `taper ${on.taper}, Node ${on.node}, libtorch ${on.libtorch} with ${on.matmul}; ${text(on.processor)}, ${counted(on.processors, 'processor')}, ${rounded(on.memoryBytes / 1e9)} GB; ` +
        `${on.device}, ${counted(on.threads, 'thread')}, ${counted(on.ranks, 'rank')}; a large matrix product reached ${rounded(on.peakFlops / 1e9)} GFLOP/s.`,
    ]),
    ...(ends.length > 0 ? [`Ended at step ${ends.at(-1)!.step}: ${text(ends.at(-1)!.text)}.`] : []),
    ...(warnings.length > 0 ? [`Warnings: ${[...new Set(warnings.map((line) => text(line.text)))].join('; ')}.`] : []),
    ...broken,
  ];
}
