import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../src/averages.ts';
import { wordTokenizer, writeSparseCorpus } from '../src/data/fixtures.ts';
import {
  makeMask,
  makeMicroBatch,
  type Objective,
  openCorpus,
  permute,
  sampleAt,
  samplesOf,
  splitCorpus,
} from '../src/data/index.ts';
import { runNode } from './programs.ts';
import { table, writeResults } from './report.ts';
import { residentMb } from './resident.ts';

const [sequenceLength, microBatchSize, chunkBytes, numDrawn, seed] = [128, 32, 2 ** 20, 10_000, 1];
const objectives: Objective[] = ['mlm', 'mlm+nsp'];
/** Where a run resumes, in epochs. */
const places = { 'the start': 0, 'half of the third epoch': 2.5 };

/** What it takes in a process of its own until a run can resume at a position of its text. */
interface Opening {
  samples: number;
  /** Processor seconds to open the corpus, divide it and make its samples; from there to the first micro-batch, and to the hundredth. */
  opened: number;
  first: number;
  hundred: number;
  /** What is resident then beyond what was before. */
  megabytes: number;
}

/** The order of samples at scale: memory, time to the first micro-batch, and how many places of the files are read. */
export function order(): void {
  const names = ['samples', 'opening, s', 'first micro-batch, s', '100 micro-batches, s', 'memory, MB'];
  const rows: (string | number)[][] = [['documents', 'objective', 'starts at', ...names]];
  for (const documents of [1e6, 1e8]) {
    const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
    try {
      writeSparseCorpus(
        folder,
        Uint32Array.from({ length: documents }, (_, i) => 200 + ((i * 7919) % 2133)),
      );
      for (const objective of objectives) {
        for (const [name, epochs] of Object.entries(places)) {
          const found = [1, 2, 3].map(() => openingInProcess(folder, objective, epochs));
          const middle = (key: keyof Opening) => median(found.map((one) => one[key]));
          const seconds = (['opened', 'first', 'hundred'] as const).map((key) => middle(key).toFixed(2));
          const counts = [documents, middle('samples')].map((count) => Math.round(count).toLocaleString('en'));
          rows.push([counts[0]!, objective, name, counts[1]!, ...seconds, middle('megabytes').toFixed(0)]);
          console.log(rows.at(-1)!.join('  '));
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  const text = `Texts of sequences of ${sequenceLength} tokens, in documents of 200 to 2,332 tokens, 5 % of them held out. The files of document lengths are real. The shards are sparse files of zeros: they are read and checked as in training, but not from a disk. Seconds are processor time including system calls, which other work on the machine changes little. Each row is the median of three processes, in micro-batches of ${microBatchSize}; memory is on top of Node's.

${table(rows)}

Chunks read by ${numDrawn.toLocaleString('en')} consecutive samples, of 10⁹ samples in ${chunksOf(1e9).toLocaleString('en')} chunks of 1 MiB, the median of ten such runs. Before, all samples were permuted together, as fewer than 2²¹ still are.

${table(touchedRows())}`;
  writeResults('order', 'The order of samples at scale', 'npm run bench -- order', text);
}

function openingInProcess(folder: string, objective: Objective, epochs: number): Opening {
  return JSON.parse(runNode([process.argv[1]!, 'order-opening', folder, objective, `${epochs}`])) as Opening;
}

/** Opens a corpus like a run that resumes after a number of epochs. */
export function orderOpening([folder, objective, epochs]: string[]): void {
  const tokenizer = wordTokenizer(10);
  const settings = { tokenizer, objective: objective as Objective, maskRate: 0.15 };
  const mask = makeMask(tokenizer, settings);
  const before = residentMb('now');
  const started = process.cpuUsage();
  const since = () => {
    const { user, system } = process.cpuUsage(started);
    return (user + system) / 1e6;
  };
  const corpus = openCorpus(folder!);
  const samples = samplesOf(splitCorpus(corpus, 0.05).train, { ...settings, sequenceLength });
  const opened = since();
  const at = Math.floor(Number(epochs) * samples.count);
  const batch = (i: number) =>
    makeMicroBatch(samples, { seed, start: at + i * microBatchSize, size: microBatchSize, mask });
  batch(0);
  const first = since() - opened;
  for (let i = 1; i < 100; i++) batch(i);
  const hundred = since() - opened;
  const result: Opening = { samples: samples.count, opened, first, hundred, megabytes: residentMb('now') - before };
  process.stdout.write(JSON.stringify(result));
  corpus.close();
}

const bytesOf = (sample: number) => sample * (sequenceLength - 2) * 2;
const chunksOf = (samples: number) => Math.ceil(bytesOf(samples) / chunkBytes);

/** What is read for samples in a row: chunks, and how much of them a first reading compares with checksums. */
function touchedRows(): string[][] {
  const count = 1e9;
  const orders = {
    'permuted together': (position: number) => permute(position % count, count, { seed, epoch: 0 }),
    'in blocks': (position: number) => sampleAt(position, { count, seed }).index,
  };
  const rows = Object.entries(orders).map(([name, at]) => {
    const touched = Array.from({ length: 10 }, (_, run) => {
      const chunks = new Set<number>();
      for (let i = 0; i < numDrawn; i++) {
        const start = bytesOf(at(run * 98_765_432 + i));
        for (const byte of [start, start + bytesOf(1) - 1]) chunks.add(Math.floor(byte / chunkBytes));
      }
      return chunks.size;
    });
    const chunks = median(touched);
    return [name, `${chunks.toLocaleString('en')}`, `${((chunks * chunkBytes) / 1e9).toFixed(2)} GB`];
  });
  return [['order', 'chunks', 'bytes'], ...rows];
}
