import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import MarkdownIt from 'markdown-it';
import { counted, startedText } from '../errors/index.ts';
import { isRight } from '../runs/gap.ts';
import type { FineTuning, LogLine } from '../runs/index.ts';
import { heatMap, lineChart, type Series } from './chart.ts';
import { chartGroups, isDense, type RunChart } from './charts.ts';
import type { Comparison } from './compare.ts';
import { comparisonNote, comparisonTables } from './comparison-tables.ts';
import { filledTexts, removedWords } from './filled-texts.ts';
import { bytesText, duration, flopsText, markdownTable, orDash, percent, rounded } from './format.ts';
import type { RunView } from './run-view.ts';
import type { Columns } from './series.ts';
import { titleOf } from './titles.ts';
import { scoreRows } from './tunings.ts';

/** A run in a report. */
export interface ReportedRun extends RunView {
  name: string;
}

/** A fine-tuned model in a report. */
export interface ReportedTuning extends FineTuning {
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

/** The sections that a page shows folded: long, and seldom read. */
const folded = new Set(['Settings', 'Training environment']);

/**
 * A full report of runs and fine-tuned models: their data and texts that they fill in, results and costs, figures, their methods,
 * settings, and how and where they were trained. `comparison` is the result of `compareRuns`, or the reason why they cannot be
 * compared. `folder` is where the figures will be written.
 */
export function reportOf(
  runs: readonly ReportedRun[],
  options: {
    comparison?: Comparison | string | undefined;
    tunings?: readonly ReportedTuning[];
    folder?: string;
  } = {},
): Report {
  const { comparison, tunings = [], folder } = options;
  const figures: Report['figures'] = {};
  const figure = ([file, svg]: [file: string, svg: string]) => {
    figures[file] = svg;
    const place =
      folder === undefined
        ? file
        : `${encodeURIComponent(folder).replace(/[()]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}/${file}`;
    return `![${file.replace('.svg', '').replaceAll('-', ' ')}](${place})`;
  };
  const settings = settingsOf(runs);
  const runSections: [title: string, parts: string[]][] = [
    ['Data', runs.flatMap(dataParts)],
    ['What the models fill in', runs.flatMap(examplesParts)],
    ['Results', [resultsTable(runs), ...comparisonParts(comparison)]],
  ];
  const sections: typeof runSections = [
    ...(runs.length > 0 ? runSections : []),
    ['Fine-tuned models', tunings.flatMap(tuningParts)],
    ['Figures', figuresOf(runs).flatMap(({ title, drawn }) => [`### ${title}`, ...drawn.map(figure)])],
    ['Methods', cardsOf(runs)],
    ['Settings that differ', settings.differing],
    ['Settings', settings.all],
    ['Training environment', runs.flatMap(environmentParts)],
  ];
  const shown = sections.filter(([, parts]) => parts.length > 0);
  const titles = [...runs.map(titleOf), ...tunings.map(({ name }) => name)];
  const parts = [
    `# ${titles.map(text).join(', ')}`,
    `Written by taper on ${new Date().toISOString().slice(0, 10)}.`,
    shown.map(([title]) => `- [${title}](#${slug(title)})`).join('\n'),
    ...shown.flatMap(([title, parts]) => [`## ${title}`, ...parts]),
  ];
  return { markdown: `${parts.join('\n\n')}\n`, figures };
}

/** A report as one self-contained HTML document with the figures inline; long lists are folded. */
export function reportHtml({ markdown, figures }: Report): string {
  const [head = '', ...sections] = new MarkdownIt()
    .render(markdown)
    .replace(
      /<p><img src="([^"]+)" alt="([^"]*)"><\/p>/g,
      (_, path: string, alt: string) =>
        `<figure role="img" aria-label="${alt}">${figures[path.split('/').at(-1)!]}</figure>`,
    )
    .split(/^<h2>/m);
  const [, title = ''] = /<h1>(.*?)<\/h1>/.exec(head) ?? [];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
${head.replace(/<ul>[\s\S]*<\/ul>/, '<nav aria-label="contents">$&</nav>')}${sections.map(section).join('')}</body>
</html>
`;
}

/** A section of the page, from its title on. */
function section(html: string): string {
  const [title = '', ...body] = html.split('</h2>');
  const heading = `<h2 id="${slug(title)}">${title}</h2>`;
  const content = body.join('</h2>');
  return folded.has(title) ? `<details><summary>${heading}</summary>${content}</details>\n` : `${heading}${content}`;
}

const style = `
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1b1d21; background: #fff }
h1 { font-size: 1.5rem } h2 { margin-top: 2rem; font-size: 1.2rem } h1, h2, h3, code { overflow-wrap: anywhere }
summary { cursor: pointer } summary h2 { display: inline-block; margin: 1rem 0 } nav ul { columns: 12rem; padding-left: 1.2rem }
table { display: block; overflow-x: auto; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #dcdfe4; text-align: left; vertical-align: top }
figure { margin: 1.5rem 0 } figure svg { max-width: 100%; height: auto }
pre { overflow-x: auto; padding: .6rem; background: #f5f6f8 }
@media print { figure, table { break-inside: avoid } details::details-content { content-visibility: visible; block-size: auto } }
`;

/** Foreign text, escaped so that Markdown shows it literally. */
function text(words: string): string {
  return words.replace(/[\\`*_{}[\]<>#|&~]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** What a run was trained on, and by which command. */
function dataParts(run: ReportedRun): string[] {
  const settings = new Map(run.config);
  const paths = settings.get('data.train') ?? '[]';
  const start = run.log.find((line) => line.type === 'start');
  const note = run.log.findLast((line) => line.type === 'note' && line.text.startsWith('text: '));
  return [
    `### ${text(titleOf(run))}`,
    ...(paths === '[]' ? [] : [`Texts: ${text(textsOf(JSON.parse(paths)))}`]),
    ...(note && 'text' in note ? [`${text(note.text.replace(/^text: /, ''))}.`] : []),
    ...(start && 'command' in start ? [commandBlock(start.command)] : []),
  ];
}

/** The paths of texts, with their weights if they are mixed. */
const textsOf = (train: readonly (string | { path: string | string[]; weight: number })[]) =>
  train
    .map((given) => (typeof given === 'string' ? given : `${[given.path].flat().join(', ')} (weight ${given.weight})`))
    .join('; ');

/** A command as a person types it, as a block of code. */
const commandBlock = (command: readonly string[]) => `    ${startedText(command).replaceAll('\n', ' ')}`;

/** Held-out sentences with gaps, and what the model filled in over the run. */
function examplesParts(run: ReportedRun): string[] {
  const { steps, texts } = filledTexts(run.evaluations);
  if (texts.length === 0) return [];
  return [
    `### ${text(titleOf(run))}`,
    `${removedWords(run)} The removed words are bold.`,
    markdownTable([
      ['sentence', ...steps.map((step) => step.toLocaleString('en'))],
      ...texts.map(({ gap, guesses }) => [
        `${text(gap.before)}**${text(gap.right)}**${text(gap.after)}`,
        ...guesses.map(([best]) => (isRight(gap, best?.text) ? '✓ ' : '') + text(best?.text ?? '–')),
      ]),
    ]),
  ];
}

/** A fine-tuned model: its task, its command and its scores. */
function tuningParts(tuning: ReportedTuning): string[] {
  const { name, task, from, labels, examples, command } = tuning;
  const rows = scoreRows(tuning);
  const among = labels && labels.length > 0 ? `; labels: ${text(labels.join(', '))}` : '';
  return [
    `### ${text(name)}`,
    `${text(task)}, ${counted(examples, 'training example')}, from ${text(from)}${among}.`,
    commandBlock(command),
    rows.length > 1 ? markdownTable(rows.map((row) => row.map(text))) : 'No development set: no scores.',
  ];
}

function resultsTable(runs: readonly ReportedRun[]): string {
  const rows: [string, (run: ReportedRun) => string][] = [
    ['method', ({ config }) => text(JSON.parse(new Map(config).get('depth.method')!) as string)],
    ['steps', ({ columns }) => (columns.step.at(-1) ?? 0).toLocaleString('en')],
    ['samples', ({ columns }) => (columns.samples.at(-1) ?? 0).toLocaleString('en')],
    ['tokens', ({ columns }) => (columns.tokens.at(-1) ?? 0).toLocaleString('en')],
    ['held-out loss (nats)', ({ evaluations }) => orDash(evaluations.at(-1)?.loss, (loss) => loss.toFixed(4))],
    ['held-out loss at the start', ({ evaluations }) => orDash(evaluations[0]?.loss, (loss) => loss.toFixed(4))],
    ['perplexity', ({ evaluations }) => orDash(evaluations.at(-1)?.perplexity, rounded)],
    ['accuracy', ({ evaluations }) => orDash(evaluations.at(-1)?.accuracy, percent)],
    ['FLOPs', ({ columns }) => orDash(columns.flops.at(-1), flopsText)],
    ['time in steps', ({ columns }) => orDash(columns.seconds.at(-1), duration)],
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
function comparisonParts(comparison: Comparison | string | undefined): string[] {
  if (comparison === undefined) return [];
  if (typeof comparison === 'string') return [`Not compared: ${text(comparison)}`];
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

function figuresOf(runs: readonly ReportedRun[]): { title: string; drawn: [file: string, svg: string][] }[] {
  const groups = chartGroups.filter(({ isOnDepth }) => !isOnDepth || !runs.every(isDense));
  return groups.map(({ title, charts, isOnDepth }) => ({
    title,
    drawn: [
      ...runs.flatMap((run, i): [string, string][] =>
        isOnDepth && !isDense(run) ? [[`keep-rates-${i + 1}.svg`, keepRates(run)]] : [],
      ),
      ...charts.flatMap((chart) => draw(chart, runs).map((svg): [string, string] => [`${slug(chart.title)}.svg`, svg])),
    ],
  }));
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

/** Excerpts from the card of each method: what it does, its cost and its source. */
function cardsOf(runs: readonly ReportedRun[]): string[] {
  const methods = [...new Set(runs.map(({ config }) => JSON.parse(new Map(config).get('depth.method')!) as string))];
  return methods.flatMap((method) => {
    const card = readFileSync(`${cards}/${method}.md`, 'utf8');
    const part = (name: string) => new RegExp(`\\*\\*${name}\\*\\*[^]*?(?=\\n\\n|$)`).exec(card)?.[0];
    // Links in a card are relative to taper's documents.
    const plain = (words: string) => words.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
    const parts = ['What it does\\.', 'What it costs\\.', 'Source\\.'].flatMap((name) => part(name) ?? []);
    return [`### \`${method}\``, ...parts.map(plain)];
  });
}

/** The settings as a table: those that differ between the runs, and all. */
function settingsOf(runs: readonly ReportedRun[]): { differing: string[]; all: string[] } {
  const maps = runs.map(({ config }) => new Map(config));
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const differing = keys.filter((key) => new Set(maps.map((map) => map.get(key))).size > 1);
  const tableOf = (keys: readonly string[]) =>
    keys.length === 0
      ? []
      : [
          markdownTable([
            ['setting', ...runs.map(({ name }) => text(name))],
            ...keys.map((key) => [key, ...maps.map((map) => text(map.get(key) ?? '–'))]),
          ]),
        ];
  return { differing: tableOf(differing), all: tableOf(keys) };
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
      commandBlock(command),
      `taper ${on.taper}, Node ${on.node}, libtorch ${on.libtorch} with ${on.matmul}; ${text(on.processor)}, ${counted(on.processors, 'core')}, ${rounded(on.memoryBytes / 1e9)} GB; ` +
        `${on.device}, ${counted(on.threads, 'thread')}, ${counted(on.ranks, 'rank')}; a large matrix product reached ${rounded(on.peakFlops / 1e9)} GFLOP/s.`,
    ]),
    ...(ends.length > 0 ? [`Ended at step ${ends.at(-1)!.step}: ${text(ends.at(-1)!.text)}.`] : []),
    ...(warnings.length > 0 ? [`Warnings: ${[...new Set(warnings.map((line) => text(line.text)))].join('; ')}.`] : []),
    ...broken,
  ];
}
