import { createRequire } from 'node:module';
import { join } from 'node:path';

// llama.cpp on the CPU: the addon of node-llama-cpp, without its JavaScript, which brings the libraries of every GPU along.

/** What is used of the addon. */
interface Addon {
  loadBackends(folder?: string): void;
  setLogger(log: (level: number, message: string) => void): void;
  setLoggerLogLevel(level: number): void;
  init(): Promise<void>;
  AddonModel: new (path: string, options: object) => AddonModel;
  AddonContext: new (model: AddonModel, options: object) => AddonContext;
  AddonSampler: new (model: AddonModel) => AddonSampler;
}

interface AddonModel {
  init(): Promise<boolean>;
  tokenize(text: string, specialTokens: boolean): Uint32Array;
  shouldPrependBosToken(): boolean;
  tokenBos(): number;
  isEogToken(token: number): boolean;
  dispose(): Promise<void>;
}

interface AddonContext {
  init(): Promise<boolean>;
  initBatch(size: number): void;
  addToBatch(sequence: number, first: number, tokens: Uint32Array, wanted: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** With `logits`, the last is token, logit, token, logit … */
  sampleToken(
    at: number,
    sampler: AddonSampler,
    probabilities: boolean,
    confidence: boolean,
    logits: boolean,
  ): Promise<[number, unknown, unknown, number[]]>;
  disposeSequence(sequence: number): void;
  dispose(): Promise<void>;
}

interface AddonSampler {
  applyConfig(config: object): void;
  dispose(): void;
}

/** A model in llama.cpp. */
export interface LlamaModel extends AsyncDisposable {
  /** The tokens of a text, special ones among them, with what stands before it. */
  tokens(text: string): number[];
  /** Whether a token ends a text. */
  isEnd(token: number): boolean;
  /** The logits behind each token of a text, from the `from`-th on. */
  logits(ids: readonly number[], from?: number): Promise<number[][]>;
}

let loading: Promise<Addon> | undefined;

const name = '@node-llama-cpp/linux-x64';

/** Why llama.cpp is missing, for the tests to skip. */
export const noLlamaCpp = isInstalled() ? false : `${name} is not installed (npm installs it on Linux x64)`;

function isInstalled(): boolean {
  try {
    return import.meta.resolve(name) !== '' && process.platform === 'linux' && process.arch === 'x64';
  } catch {
    return false;
  }
}

/** Opens a GGUF file in llama.cpp, with keys and values in float32. */
export async function openLlama(path: string): Promise<LlamaModel> {
  loading ??= load();
  const addon = await loading;
  const model = new addon.AddonModel(path, { addonExports: addon, gpuLayers: 0 });
  if (!(await model.init())) throw new Error(`llama.cpp does not load ${path}`);
  const size = 256;
  const floats = { kvCacheKeyType: 0, kvCacheValueType: 0, flashAttention: false };
  const context = new addon.AddonContext(model, {
    contextSize: size,
    batchSize: size,
    sequences: 1,
    threads: 1,
    ...floats,
  });
  if (!(await context.init())) throw new Error(`llama.cpp has no context for ${path}`);
  const sampler = new addon.AddonSampler(model);
  sampler.applyConfig({ temperature: 0 });
  return {
    tokens: (text) => [...(model.shouldPrependBosToken() ? [model.tokenBos()] : []), ...model.tokenize(text, true)],
    isEnd: (token) => model.isEogToken(token),
    async logits(ids, from = 0) {
      context.disposeSequence(0);
      context.initBatch(ids.length);
      const wanted = Uint32Array.from({ length: ids.length - from }, (_, i) => from + i);
      const places = context.addToBatch(0, 0, Uint32Array.from(ids), wanted);
      await context.decodeBatch();
      const rows: number[][] = [];
      for (const place of places) {
        const [, , , pairs] = await context.sampleToken(place, sampler, false, false, true);
        const row: number[] = [];
        for (let i = 0; i < pairs.length; i += 2) row[pairs[i]!] = pairs[i + 1]!;
        rows.push(row);
      }
      return rows;
    },
    async [Symbol.asyncDispose]() {
      sampler.dispose();
      await context.dispose();
      await model.dispose();
    },
  };
}

async function load(): Promise<Addon> {
  const { getBinsDir } = (await import(name)) as { getBinsDir(): { binsDir: string } };
  const folder = join(getBinsDir().binsDir, 'linux-x64');
  const addon = createRequire(import.meta.url)(join(folder, 'llama-addon.node')) as Addon;
  addon.setLogger((_, message) => process.stderr.write(message));
  addon.setLoggerLogLevel(2); // errors
  addon.loadBackends(folder);
  await addon.init();
  return addon;
}
