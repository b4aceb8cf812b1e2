// Servers of models as programs use them.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { after } from 'node:test';
import OpenAI from 'openai';
import { type Started, start } from './cli.fixture.ts';

/** A running `taper serve`. */
export interface Serving extends Started {
  origin: string;
  token: string | undefined;
  /** The address and the body of the request that it suggests. */
  tried: { address: string; body: object };
  /** What it has written to standard error since it started. */
  said(): string;
}

/** Starts a server in a folder on a free port, and waits for its address. */
export function serving(cwd: string, words: readonly string[], env: Record<string, string> = {}): Promise<Serving> {
  const started = start(['serve', ...words, '--port', '0', '--device', 'cpu', '--threads', '1'], { cwd, env });
  return new Promise((resolve, reject) => {
    let said = '';
    started.child.stderr!.on('data', (bytes) => {
      said += bytes;
      const origin = /^serve: .* at (\S+) answers .*$/m.exec(said)?.[1];
      const token = /^token: (\S+)$/m.exec(said)?.[1];
      const [, address, body] = /^try it: curl (\S+) .*-d '(.*)'$/m.exec(said) ?? [];
      if (origin && address && (token || origin.includes('127.0.0.1:'))) {
        const start = said.length;
        const tried = { address, body: JSON.parse(body!) };
        resolve({ ...started, origin, token, tried, said: () => said.slice(start) });
      }
    });
    started.child.on('close', () => reject(new Error(said)));
  });
}

/** A running `taper serve` with OpenAI's client. */
export type Served = Serving & { client: OpenAI };

/** What starts servers in a folder that the end of the tests ends. */
export function servers(folder: string): (...words: string[]) => Promise<Served> {
  const running: ChildProcess[] = [];
  after(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  return async (...words) => {
    const started = await serving(folder, words);
    running.push(started.child);
    const apiKey = started.token ?? 'none';
    return { ...started, client: new OpenAI({ baseURL: `${started.origin}/v1`, apiKey, maxRetries: 0 }) };
  };
}

/** An answer as it came. */
export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
}

/** Asks over kept connections, as many as `agent` allows. */
export function ask(
  url: string,
  body: string | object,
  { agent, method = 'POST', headers = {} }: { agent?: Agent; method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = typeof body === 'string' ? body : JSON.stringify(body);
    const length = String(Buffer.byteLength(sent));
    const options = {
      method,
      agent,
      headers: { 'content-type': 'application/json', 'content-length': length, ...headers },
    };
    const asked = request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (some) => {
        text += some;
      });
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      response.on('error', reject);
    });
    asked.on('error', reject).end(sent);
  });
}

/** Resident memory of a program, in MB. */
export function residentMb({ pid }: ChildProcess): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

/** What many requests for embeddings came to. */
export interface ManyRequests {
  seconds: number;
  /** Each request's, in milliseconds. */
  latencies: number[];
  /** Resident memory of the server after each fifth of the requests, in MB. */
  memory: number[];
}

/**
 * Sends `count` requests, each of one of the texts, by 16 clients or as many as said, which keep their connections, and compares each answer with the vector
 * of its own text.
 */
export async function manyRequests(
  { origin, child }: Serving,
  count: number,
  texts: readonly string[],
  vectors: readonly Float32Array[],
  numClients = 16,
): Promise<ManyRequests> {
  const agent = new Agent({ keepAlive: true, maxSockets: numClients });
  const [latencies, memory]: [number[], number[]] = [[], []];
  let next = 0;
  const begin = performance.now();
  const client = async () => {
    while (next < count) {
      const i = next++ % texts.length;
      const asked = performance.now();
      const { status, text } = await ask(`${origin}/v1/embeddings`, { input: texts[i] }, { agent });
      assert.equal(status, 200, text);
      latencies.push(performance.now() - asked);
      const { data } = JSON.parse(text) as { data: { embedding: number[] }[] };
      const far = Math.max(...data[0]!.embedding.map((x, d) => Math.abs(x - vectors[i]![d]!)));
      assert.ok(data.length === 1 && far < 1e-5, `${texts[i]}: ${far}`);
      if (latencies.length % (count / 5) === 0) memory.push(residentMb(child));
    }
  };
  await Promise.all(Array.from({ length: numClients }, client));
  agent.destroy();
  assert.equal(latencies.length, count);
  return { seconds: (performance.now() - begin) / 1000, latencies, memory };
}
