import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../src/averages.ts';
import { sentences, taper, writeTiny } from '../tests/cli.fixture.ts';
import { readNpy } from '../tests/npy.fixture.ts';
import { ask, manyRequests, type Serving, serving } from '../tests/serving.fixture.ts';
import { table, writeResults } from './report.ts';

const [numRequests, numSlow, numCompletions] = [10_000, 20, 40];
/** Of an encoder as wide as a bert-mini; the weights do not matter here. */
const sizes = ['model.layers=4', 'model.hiddenSize=256', 'model.heads=4', 'model.ffnSize=1024'];
const decoder = ['model.kind=llama', 'data.objective=clm', 'model.vocabSize=320'];

/** JavaScript's memory, which V8 lets grow for as long as it may, kept so small that whatever the server keeps shows. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=4' };

/** What docs/results/serving.md holds: many requests, what they take in memory, and what others feel of slow clients. */
export async function serve(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-serving-'));
  const run = async (...words: string[]) => {
    const { code, stderr } = await taper(words, { cwd: folder });
    if (code !== 0) throw new Error(stderr);
  };
  const opened: Serving[] = [];
  try {
    writeTiny(folder);
    const texts = [...new Set(sentences(400, 9).trim().split('. '))].slice(0, 200);
    writeFileSync(join(folder, 'texts.txt'), texts.map((text) => `${text}\n`).join(''));
    await run('pretrain', 'tiny.yaml', '--out', 'encoder', '--set', ...sizes);
    await run('pretrain', 'tiny.yaml', '--out', 'decoder', '--set', ...sizes, ...decoder);
    await run('embed', 'encoder', '--in', 'texts.txt', '--out', 'vectors.npy', '--device', 'cpu');
    const vectors = readNpy(join(folder, 'vectors.npy'));
    const [encoder, writer] = [await serving(folder, ['encoder'], smallHeap), await serving(folder, ['decoder'])];
    opened.push(encoder, writer);
    await manyRequests(encoder, 200, texts, vectors); // warms up
    const one = await manyRequests(encoder, 500, texts, vectors, 1);
    const many = await manyRequests(encoder, numRequests, texts, vectors);
    const before = await manyRequests(encoder, 1000, texts, vectors);
    const senders = slowSenders(encoder);
    const sending = await manyRequests(encoder, 1000, texts, vectors);
    senders();
    const alone = await completions(writer);
    const readers = slowReaders(writer);
    await sleep(20_000);
    const reading = await completions(writer);
    readers();
    const perSecond = ({ latencies, seconds }: typeof one) => (latencies.length / seconds).toFixed(0);
    const rates = [
      ['clients', 'requests', 'requests per second', 'median, ms', '99 of 100 within, ms'],
      ['1', one.latencies.length, perSecond(one), ...latencyOf(one.latencies)],
      ['16', many.latencies.length, perSecond(many), ...latencyOf(many.latencies)],
    ];
    const memory = [
      ['requests', 'resident, MB'],
      ...many.memory.map((mb, i) => [((i + 1) * numRequests) / 5, mb.toFixed(0)]),
    ];
    const felt = [
      ['measured', 'concurrent slow clients', 'median, ms', '99 of 100 within, ms'],
      ['embeddings by 16 clients', 'none', ...latencyOf(before.latencies)],
      ['embeddings by 16 clients', `${numSlow} that send a byte per second`, ...latencyOf(sending.latencies)],
      ['completions of 16 tokens by one client', 'none', ...latencyOf(alone)],
      ['completions of 16 tokens by one client', `${numSlow} that read a byte per second`, ...latencyOf(reading)],
    ];
    writeResults(
      'serving',
      'Serving',
      'npm run bench -- serve',
      `An encoder and a decoder of four blocks of width 256, each served on one thread. Each request is one of ${texts.length} sentences, and its answer is
compared with the vector that \`embed\` wrote for that sentence: a lost or swapped answer ends the benchmark.

${table(rates)}

The memory of the server along those ${numRequests.toLocaleString('en')} requests, with \`NODE_OPTIONS='${smallHeap.NODE_OPTIONS}'\`: V8 lets its heap grow as far as it may, whatever
the server keeps.

${table(memory)}

Slow clients. The slow readers request streamed completions of 60 tokens, which fit into the system's buffers: they show only that open streams cost others nothing.

${table(felt)}`,
    );
  } finally {
    for (const { child } of opened) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function latencyOf(latencies: readonly number[]): string[] {
  const sorted = [...latencies].sort((a, b) => a - b);
  return [median(sorted), sorted[Math.floor(0.99 * sorted.length)]!].map((ms) => ms.toFixed(1));
}

async function completions({ origin }: Serving): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = 0; i < numCompletions; i++) {
    const begin = performance.now();
    const { status, text } = await ask(`${origin}/v1/completions`, { prompt: 'The cat', temperature: 0 });
    if (status !== 200) throw new Error(text);
    latencies.push(performance.now() - begin);
  }
  return latencies;
}

/** Sockets that have sent the head of a request to a path. */
function openSlow({ origin }: Serving, path: string, length: number) {
  const { hostname, port } = new URL(origin);
  const head = `POST ${path} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  return Array.from({ length: numSlow }, () => {
    const socket = connect(Number(port), hostname).on('error', () => {});
    socket.write(head);
    return socket;
  });
}

/** Clients that send a byte per second, until the function that is returned ends them. */
function slowSenders(server: Serving): () => void {
  return every(openSlow(server, '/v1/embeddings', 10_000), (socket) => socket.write(' '));
}

/** Clients that read a byte per second. */
function slowReaders(server: Serving): () => void {
  const body = JSON.stringify({ prompt: 'The cat', max_tokens: 60, stream: true });
  const sockets = openSlow(server, '/v1/completions', body.length);
  for (const socket of sockets) socket.pause().write(body);
  return every(sockets, (socket) => socket.read(1));
}

function every<T extends { destroy(): void }>(sockets: readonly T[], act: (socket: T) => void): () => void {
  const timer = setInterval(() => {
    for (const socket of sockets) act(socket);
  }, 1000);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}
