import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../src/averages.ts';
import { loadConfig } from '../src/config/index.ts';
import { depthMethod, expectedDepth } from '../src/depth/index.ts';
import { type Metrics, readMetrics } from '../src/runs/index.ts';
import { sentences } from '../tests/cli.fixture.ts';
import { childrenOf } from '../tests/faults/world.ts';
import { medianText, table, writeResults } from './report.ts';
import { residentMb } from './resident.ts';

const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const [numRuns, numSteps, evalEvery] = [100, 200_000, 1000];
/** Runs that are opened, one after the other. */
const numOpened = 8;
/** Pairs of periods with a page open and closed, their steps, and the steps before the first. */
const [rounds, periodSteps, firstStep] = [8, 25, 10];

/** What docs/results/dashboard.md holds: how fast a hundred long runs are shown, and what a step feels of a page that is open. */
export async function dashboard(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-dashboard-'));
  try {
    const bytes = generate(folder);
    const opened = await opening(folder);
    const felt = await slowdown(folder);
    writeResults('dashboard', 'The dashboard', 'npm run bench -- dashboard', document(bytes, opened, felt));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the runs, as like as files can be to those of a BERT-base; gives the bytes of each one's metrics. */
function generate(folder: string): number {
  const { config } = loadConfig({ file: 'configs/bert-base.yaml', overrides: { train: { steps: numSteps } } });
  const method = depthMethod(config.depth, config.model.layers, numSteps);
  const first = join(folder, 'runs/run-000');
  for (let i = 0; i < numRuns; i++) {
    const run = join(folder, `runs/run-${String(i).padStart(3, '0')}`);
    mkdirSync(run, { recursive: true });
    writeFileSync(join(run, 'config.json'), JSON.stringify(config));
    const metrics = join(run, 'metrics.jsonl');
    if (i === 0) writeMetrics(metrics, (step) => method(step - 1).keepRates);
    else copyFileSync(join(first, 'metrics.jsonl'), metrics);
  }
  return readFileSync(join(first, 'metrics.jsonl')).length;
}

function writeMetrics(path: string, keepRatesAt: (step: number) => readonly number[]): void {
  const file = openSync(path, 'w');
  let lines = '';
  const add = (line: Metrics) => {
    lines += `${JSON.stringify(line)}\n`;
  };
  for (let step = 1; step <= numSteps; step++) {
    const keepRates = keepRatesAt(step);
    const loss = 2 + 8 / Math.sqrt(step) + Math.sin(step) / 10;
    const seconds = 0.8 + 0.1 * Math.cos(step);
    add({
      type: 'step',
      step,
      samples: 4096 * step,
      tokens: 524_288 * step,
      loss,
      mlmLoss: loss - 0.1234567891,
      nspLoss: 0.1234567891,
      learningRate: 1e-3 / (1 + step / 1000),
      gradientNorm: 1 + Math.abs(Math.sin(step)),
      theta: 0.5 + 0.5 * Math.exp(-step / 2000),
      keepRates,
      expectedDepth: expectedDepth(keepRates),
      depth: 8 + (step % 64) / 64,
      stepSeconds: seconds,
      dataSeconds: 0.00123456789,
      tokensPerSecond: 524_288 / seconds,
      flops: 2.3456789e14,
      denseFlops: 3.1415926e14,
      peakMemoryBytes: 4_123_456_789,
    });
    if (step % evalEvery === 0) {
      const tokens = 123_456;
      add({
        type: 'eval',
        step,
        split: 'valid',
        loss,
        mlmLoss: loss,
        mlmAccuracy: 0.6,
        perplexity: Math.exp(loss),
        tokens,
      });
    }
    if (lines.length > 1e6 || step === numSteps) {
      writeSync(file, lines);
      lines = '';
    }
  }
  closeSync(file);
}

interface Opened {
  listSeconds: number;
  runSeconds: number[];
  againSeconds: number;
  peakMegabytes: number;
}

/** Times of answers, and the most memory that the server has had after them. */
async function opening(folder: string): Promise<Opened> {
  const { child, url } = await served(['dashboard', join(folder, 'runs'), '--port', '0']);
  try {
    const listSeconds = await seconds(`${url}api/runs`);
    const runSeconds: number[] = [];
    for (let i = 0; i < numOpened; i++) runSeconds.push(await seconds(`${url}api/run?name=run-0${i}7`));
    const againSeconds = await seconds(`${url}api/run?name=run-007`);
    return { listSeconds, runSeconds, againSeconds, peakMegabytes: residentMb('peak', child.pid!) };
  } finally {
    await ended(child);
  }
}

async function seconds(url: string): Promise<number> {
  const started = performance.now();
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok || text.length < 1000) throw new Error(`${url}: ${response.status} ${text.slice(0, 100)}`);
  return (performance.now() - started) / 1000;
}

interface Felt {
  /** Step times with the page open over those with it closed. */
  ratios: number[];
  /** Processor seconds of the server, of each second that the page was open. */
  processorShare: number;
}

/** One run whose page is open and closed in turn: of each two periods, the steps' median time with it over that without. */
async function slowdown(folder: string): Promise<Felt> {
  const text = join(folder, 'text.txt');
  writeFileSync(text, sentences(20_000, 1));
  const out = join(folder, 'watched');
  const steps = {
    steps: 2 * rounds * periodSteps + firstStep,
    batchSize: 32,
    microBatchSize: 32,
    evalEvery: 0,
    saveEvery: 0,
  };
  const sets = [
    `data.train=[${text}]`,
    `data.cache=${join(folder, 'cache')}`,
    'depth.method=dense', // steps as long as each other
    'train.evalSamples=32',
    ...Object.entries(steps).map(([key, value]) => `train.${key}=${value}`),
  ];
  const { child, url } = await served([
    'pretrain',
    'configs/bert-mini.yaml',
    '--out',
    out,
    '--dashboard',
    '0',
    '--set',
    ...sets,
  ]);
  const isRunning = () => child.exitCode === null;
  const [server] = await childrenOf(child.pid!, 1);
  const used = { processor: 0, open: 0, since: 0, before: 0 };
  const stepsDone = () => readMetrics(join(out, 'metrics.jsonl')).filter(({ type }) => type === 'step').length;
  let page: AbortController | undefined;
  while (isRunning()) {
    const isOpen = stepsDone() >= firstStep && periodOf(stepsDone()) % 2 === 0;
    if (isOpen && !page) {
      page = new AbortController();
      [used.since, used.before] = [performance.now(), processorSeconds(server!)];
      readAll(`${url}api/events?run=watched`, page.signal).catch(() => {}); // until it is closed
    } else if (!isOpen && page) {
      used.open += (performance.now() - used.since) / 1000;
      used.processor += processorSeconds(server!) - used.before;
      page.abort();
      page = undefined;
    }
    await sleep(50);
  }
  page?.abort();
  const seconds = readMetrics(join(out, 'metrics.jsonl')).flatMap((line) => (line.type === 'step' ? [line] : []));
  const periods = Array.from({ length: 2 * rounds }, (_, period) =>
    median(
      seconds
        .filter(({ step }) => step > firstStep && periodOf(step - 1) === period && periodOf(step - 2) === period)
        .map(({ stepSeconds }) => stepSeconds),
    ),
  );
  const ratios = Array.from({ length: rounds }, (_, round) => periods[2 * round]! / periods[2 * round + 1]!);
  return { ratios, processorShare: used.processor / used.open };
}

/** User and system time of a process; the kernel counts hundredths of a second. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const periodOf = (stepsBefore: number) => Math.floor((stepsBefore - firstStep) / periodSteps);

async function readAll(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal });
  for await (const _ of response.body!);
}

/** Starts a program that serves a dashboard, and waits for its address. */
function served(words: readonly string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr!.on('data', (bytes) => {
      said += bytes;
      const url = /^dashboard: (\S+)$/m.exec(said)?.[1];
      if (url) resolve({ child, url });
    });
    child.on('close', () => reject(new Error(said)));
  });
}

function ended(child: ChildProcess): Promise<void> {
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  child.kill();
  return closed;
}

function document(
  bytes: number,
  { listSeconds, runSeconds, againSeconds, peakMegabytes }: Opened,
  { ratios, processorShare }: Felt,
): string {
  return `## A hundred long runs

${numRuns} generated runs of ${numSteps.toLocaleString('en')} steps of 12 blocks, evaluated every ${evalEvery.toLocaleString('en')}; the metrics of each are ${(bytes / 1e6).toFixed(0)} MB.
Times are from the request to the complete answer.

${table([
  ['', 'seconds'],
  ['the list', listSeconds.toFixed(2)],
  [`a run, read for the first time (${numOpened} of them)`, medianText(runSeconds, 2)],
  ['a run again', againSeconds.toFixed(3)],
])}

The server's peak memory after that: ${peakMegabytes.toFixed(0)} MB.

## What it costs a training step

\`configs/bert-mini.yaml\`, dense, steps of 32 sequences, with \`--dashboard\`: the page is open for ${periodSteps} steps, closed for ${periodSteps}, ${rounds} times
in one run. The median step while it is open, relative to closed, over the pairs: ${medianText(ratios, 3)}.
While it is open the server takes ${(1000 * processorShare).toFixed(0)} ms of processor time per second; while it is closed none.
`;
}
