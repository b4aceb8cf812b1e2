import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareDocuments } from '../src/data/index.ts';
import { lineChart } from '../src/report/index.ts';
import { bytesOf, edits, textOf, tokensOf, wordsOf, wordTokenizer } from './duplicates-corpus.ts';
import type { Found } from './duplicates-work.ts';
import { percent, table, writeResults } from './report.ts';
import { residentMb } from './resident.ts';

const numParts = 4;
const partBytes = 500e6;
const sampleMs = 100;
const [work, chart] = ['./duplicates-work.js', '../../docs/results/duplicates.svg'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
) as [string, string];

/** A search in a process of its own: what it found, its resident memory over time, and its files' greatest size. */
interface Measured extends Found {
  name: string;
  textMb: number;
  memory: (readonly [seconds: number, mb: number])[];
  diskMb: number;
}

/** Duplicates in a generated text of 2 GB: how many of the planted ones are found, how fast, and in how much memory. */
export async function duplicates(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-bench-'));
  try {
    const documents = await writeCorpora(folder);
    const runs: Measured[] = [];
    for (const [parts, kind] of [
      [1, 'near'],
      [2, 'near'],
      [4, 'near'],
      [4, 'exact'],
    ] as const) {
      runs.push(await measured(folder, parts, kind));
      console.log(JSON.stringify({ ...runs.at(-1), memory: peakOf(runs.at(-1)!) }));
    }
    const near = runs.filter(({ kind }) => kind === 'near');
    const series = near.map(({ name, memory }) => ({ name, points: memory }));
    const title = 'Resident memory while duplicates are looked for';
    writeFileSync(chart, lineChart({ title, xLabel: 'seconds', yLabel: 'MB', series, fromZero: true }));
    writeResults('duplicates', 'Duplicates', 'npm run bench -- duplicates', resultsOf(runs, documents));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the tokens of the text in parts of 500 MB, and gives the number of its documents. */
async function writeCorpora(folder: string): Promise<number> {
  const tokenizer = wordTokenizer();
  let document = 0;
  for (let part = 0; part < numParts; part++) {
    function* documents() {
      for (let bytes = 0; bytes < partBytes; document++) {
        const words = wordsOf(document);
        bytes += bytesOf(words);
        yield tokensOf(words);
      }
    }
    const samples = Object.assign(documents(), { name: `part ${part}` });
    (await prepareDocuments(samples, { tokenizer, cacheDir: join(folder, `${part}`) })).close();
    console.log(`${document} documents written`);
  }
  for (let checked = 0; checked < 500; checked++) {
    const words = wordsOf(checked);
    const tokens = await tokenizer.encode(textOf(words));
    if (tokens.join() !== tokensOf(words).join()) throw new Error(`document ${checked} has other tokens than its text`);
  }
  return document;
}

async function measured(folder: string, parts: number, kind: Found['kind']): Promise<Measured> {
  const child = spawn(process.execPath, [work, folder, `${parts}`, kind], { stdio: ['ignore', 'pipe', 'inherit'] });
  const memory: [number, number][] = [];
  let [diskMb, said] = [0, ''];
  let started: number | undefined;
  child.stdout.on('data', (bytes) => {
    said += bytes;
    started ??= performance.now(); // its first line says that the corpora are open, the next one that it is done
  });
  const sampling = setInterval(() => {
    if (started === undefined || said.includes('done')) return;
    const resident = residentMb('now', child.pid!);
    if (Number.isFinite(resident)) memory.push([(performance.now() - started) / 1000, resident]);
    diskMb = Math.max(diskMb, scratchBytes(folder) / 1e6);
  }, sampleMs);
  const closed = once(child, 'close');
  await once(child, 'exit');
  clearInterval(sampling);
  const [status] = await closed;
  if (status !== 0) throw new Error(`looking for duplicates failed:\n${said}`);
  const found: Found = JSON.parse(said.trim().split('\n').at(-1)!);
  const textMb = (parts * partBytes) / 1e6;
  return { ...found, name: `${textMb / 1000} GB`, textMb, memory, diskMb };
}

/** The bytes of the files that a search works with. */
function scratchBytes(folder: string): number {
  const working = readdirSync(folder).find((name) => name.startsWith('duplicates.building-'));
  if (working === undefined) return 0;
  return readdirSync(join(folder, working)).reduce(
    (sum, name) => sum + (statSync(join(folder, working, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

const peakOf = ({ memory }: Measured) => Math.max(...memory.map(([, mb]) => mb));

function resultsOf(runs: readonly Measured[], documents: number): string {
  const [small, , large] = runs as [Measured, Measured, Measured];
  const slope = (peakOf(large) - peakOf(small)) / (large.documents - small.documents);
  const atFiveMillion = peakOf(large) + slope * (5e6 - large.documents);
  const speeds = runs.map((run) => [
    run.name,
    run.kind,
    run.documents.toLocaleString('en'),
    (run.tokens / 1e6).toFixed(0),
    run.seconds.toFixed(0),
    run.processorSeconds.toFixed(0),
    (run.textMb / run.processorSeconds).toFixed(0),
    run.memory[0]![1].toFixed(0),
    peakOf(run).toFixed(0),
    run.diskMb.toFixed(0),
  ]);
  const classes = large.classes.map(({ edit, planted, jaccard, found }) => [
    edit === 0 ? 'none' : percent(edit),
    jaccard.toFixed(3),
    planted.toLocaleString('en'),
    found.toLocaleString('en'),
    percent(found / planted),
    percent(expected(jaccard)),
  ]);
  const head = ['text', 'kind', 'documents', 'tokens, million', 'seconds', 'CPU seconds', 'MB per CPU second'];
  const memory = ['resident before, MB', 'peak resident, MB', 'scratch files, MB'];
  return `${documents.toLocaleString('en')} generated documents of pseudo-words, one token each, with frequencies by Zipf's law. 4 in 100 copy an earlier
document, and ${edits.length} in 100 copy one with the last words replaced. Each search runs in a separate process on the tokenised text. Its resident memory
(VmRSS) is read ten times per second; it includes the index of the documents and V8 itself. If other work runs on the machine, compare CPU seconds.

${table([[...head, ...memory], ...speeds])}

From ${small.name} to ${large.name} the peak grows by ${(peakOf(large) - peakOf(small)).toFixed(0)} MB, ${(slope * 1e6).toFixed(0)} bytes per additional document. At that rate 10 GB of such text, 5 million documents, take ${atFiveMillion.toFixed(0)} MB.

![Resident memory during the search for duplicates](duplicates.svg)

What was planted in ${large.name}, and what was found with \`near\`. The Jaccard similarity of token 5-grams is counted exactly on 200 pairs of each kind. "Expected"
is the probability, by the formula, that the estimate from 256 hashes is 0.8 or more and that the pair shares one of 32 bands of 8.

${table([['words replaced', 'Jaccard', 'planted', 'found', 'share', 'expected'], ...classes])}

Documents that were dropped though they share less than 0.6 with the document that they supposedly repeat: ${large.wrong} of ${large.documents.toLocaleString('en')}.`;
}

/**
 * The share of pairs of a similarity that are found: binomial, m of 256 bytes are equal, each with probability `p = J + (1 − J)/256`; of
 * those with (m − 1)/255 ≥ 0.8 the ones with a whole band among the m, `1 − (1 − (m/256)⁸)³²`.
 */
function expected(jaccard: number): number {
  const equal = jaccard + (1 - jaccard) / 256;
  if (equal === 1) return 1;
  let [logTerm, share] = [256 * Math.log(1 - equal), 0];
  for (let m = 0; m <= 256; m++) {
    if ((m - 1) / 255 >= 0.8) share += Math.exp(logTerm) * (1 - (1 - (m / 256) ** 8) ** 32);
    logTerm += Math.log((256 - m) / (m + 1)) + Math.log(equal / (1 - equal));
  }
  return share;
}
