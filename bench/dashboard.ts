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
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../src/config/index.ts';
import { depthMethod, expectedDepth } from '../src/depth/index.ts';
import { type Metrics, readMetrics } from '../src/train/index.ts';
import { sentences } from '../tests/cli.fixture.ts';
import { median, spread, table, writeResults } from './report.ts';

const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const [numRuns, numSteps, evalEvery] = [100, 200_000, 1000];
/** Runs that are opened, one after the other. */
const numOpened = 8;
const [rounds, trainedSteps] = [4, 150];

/** What docs/results/dashboard.md holds: how fast a hundred long runs are shown, and what a step feels of a page that is open. */
export async function dashboard(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-dashboard-'));
  try {
    const bytes = generate(folder);
    const opened = await opening(folder);
    const ratios = await slowdown(folder);
    writeResults('dashboard', 'The dashboard', 'npm run bench -- dashboard', document(bytes, opened, ratios));
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
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))!;
    return { listSeconds, runSeconds, againSeconds, peakMegabytes: Number(kilobytes) / 1000 };
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

/** Of each pair of runs, with a page open and without, the median of the ratios of the same steps: they draw the same gates. */
async function slowdown(folder: string): Promise<number[]> {
  const text = join(folder, 'text.txt');
  writeFileSync(text, sentences(20_000, 1));
  const times = async (name: string, isWatched: boolean) => {
    const out = join(folder, name);
    const sets = [`data.train=[${text}]`, `data.cache=${join(folder, 'cache')}`, `train.steps=${trainedSteps}`];
    const more = [
      'train.evalEvery=0',
      'train.evalSamples=32',
      'train.saveEvery=0',
      'train.batchSize=32',
      'train.microBatchSize=32',
    ];
    const words = ['pretrain', 'configs/bert-mini.yaml', '--out', out, '--quiet', '--set', ...sets, ...more];
    if (isWatched) {
      const { child, url } = await served([...words, '--dashboard', '0']);
      await watch(`${url}api/events?run=${name}`, child);
    } else {
      await new Promise((resolve) =>
        spawn(process.execPath, [main, ...words], { stdio: 'ignore' }).on('close', resolve),
      );
    }
    return readMetrics(join(out, 'metrics.jsonl')).flatMap((line) => (line.type === 'step' ? [line.stepSeconds] : []));
  };
  await times('warm-up', false);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [true, false] : [false, true]; // neither is always the first
    const found = new Map<boolean, number[]>();
    for (const isWatched of order) found.set(isWatched, await times(`run-${round}-${isWatched}`, isWatched));
    const without = found.get(false)!;
    ratios.push(
      median(
        found
          .get(true)!
          .map((time, i) => time / without[i]!)
          .slice(5),
      ),
    );
    console.log(`round ${round + 1}: ${ratios.at(-1)!.toFixed(4)}`);
  }
  return ratios;
}

/** Reads the events of a page until the program ends. */
async function watch(url: string, child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.on('close', resolve));
  const response = await fetch(url);
  const reading = (async () => {
    let bytes = 0;
    for await (const chunk of response.body!) bytes += (chunk as Uint8Array).length;
    return bytes;
  })().catch(() => 0);
  await closed;
  await reading;
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
  ratios: readonly number[],
): string {
  return `## A hundred long runs

${numRuns} generated runs of ${numSteps.toLocaleString('en')} steps of 12 blocks, evaluated every ${evalEvery.toLocaleString('en')}; the metrics of each are ${(bytes / 1e6).toFixed(0)} MB.
Times are from a request to the whole answer.

${table([
  ['', 'seconds'],
  ['the list', listSeconds.toFixed(2)],
  [`a run, read for the first time (${numOpened} of them)`, spread(runSeconds, 2)],
  ['a run again', againSeconds.toFixed(3)],
])}

The server's most memory after that: ${peakMegabytes.toFixed(0)} MB.

## What a training step feels of it

\`configs/bert-mini.yaml\` in steps of 32 sequences, ${trainedSteps} steps with \`--dashboard\` and a page open, and as many without, ${rounds} times in turn. The same
steps draw the same gates; the median over the steps of their times' ratios: ${spread(ratios, 3)}.
`;
}
