import { basename, resolve } from 'node:path';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import type { Checkpoint } from '../checkpoints/index.ts';
import { type Address, isCrossSite, isOwnName, isToken, listen, tokenFor } from '../http/index.ts';
import { checkPredicts, loadTrained, type TrainedOptions } from '../inference/index.ts';
import { classifyRoute } from './classify.ts';
import { completionsRoute } from './completions.ts';
import { embeddingsRoute } from './embeddings.ts';
import { eventStream } from './events.ts';
import { fillRoute } from './fill.ts';
import { errorOf, RequestError } from './request-error.ts';
import type { Route, Served } from './route.ts';

const mostBodyBytes = 10_000_000;
/** A stream that its client takes nothing of for so long is cut, so that its place is free. */
const stallMs = 30_000;
/** How often connections are looked for that have nothing more to do when the server ends. */
const lookMs = 50;

/** What clients may ask for; each model does some of it. */
const routes: Record<string, (served: Served) => Route | undefined> = {
  '/v1/embeddings': embeddingsRoute,
  '/v1/completions': completionsRoute,
  '/fill': fillRoute,
  '/classify': classifyRoute,
};

type Env = { Bindings: HttpBindings };

/** A server of a model. */
export interface ModelServer {
  /** How its URLs begin: `http://127.0.0.1:7008`. */
  origin: string;
  /** What it asks for as `Authorization: Bearer`; nothing on 127.0.0.1. */
  token: string | undefined;
  /** What the model answers: the paths, each with a body to try. */
  requests: readonly { path: string; example: object }[];
  /** Takes no more connections, answers what has come, and ends; after `graceMs` it cuts those who still read or send. */
  close(graceMs: number): Promise<void>;
}

/**
 * Loads the model that was opened at a path, with any head, to serve it.
 *
 * @throws CheckpointError when it predicts only NaN.
 * @throws ConfigError for a missing device.
 */
export function openServed(
  path: string,
  checkpoint: Checkpoint,
  how: Pick<TrainedOptions, 'device'>,
): Served & Disposable {
  const trained = loadTrained(checkpoint, how);
  if (!trained.checkpoint.head) checkPredicts(trained);
  return { ...trained, name: basename(resolve(path)) };
}

/**
 * Serves a model; `report` is called with internal server errors.
 *
 * @throws ConfigError for a port or an address that cannot be had.
 */
export async function startServer(
  served: Served,
  { host, port, report }: Address & { report: (error: unknown) => void },
): Promise<ModelServer> {
  const token = tokenFor(host);
  const answered = Object.entries(routes).flatMap(([path, of]): [string, Route][] => {
    const route = of(served);
    return route ? [[path, route]] : [];
  });
  const state = { isClosing: false };
  const app = modelApp(served, new Map(answered), { token, report, state });
  const { server, origin } = await listen(app, { host, port });
  return {
    origin,
    token,
    requests: answered.map(([path, { example }]) => ({ path, example })),
    close: (graceMs) =>
      new Promise((resolve) => {
        state.isClosing = true;
        const idle = setInterval(() => server.closeIdleConnections(), lookMs);
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearInterval(idle);
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

function modelApp(
  served: Served,
  answered: ReadonlyMap<string, Route>,
  {
    token,
    report,
    state,
  }: { token: string | undefined; report: (error: unknown) => void; state: { isClosing: boolean } },
): Hono<Env> {
  const able = `${served.name}, a ${served.checkpoint.config.model.kind} model, answers ${[...answered.keys()].map((path) => `POST ${path}`).join(' and ')}`;
  const created = Math.floor(Date.now() / 1000);
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    await next();
    if (state.isClosing) context.header('connection', 'close');
  });
  app.use(async (context, next) => {
    checkAllowed(context, token);
    await next();
  });
  app.onError((error, context) => {
    const { status, body } = errorOf(error);
    if (status === 500 && !context.req.raw.signal.aborted) report(error);
    if (status === 429) context.header('retry-after', '1');
    return context.json(body, status);
  });
  app.notFound((context) => {
    throw new RequestError(404, `${context.req.path}: there is no such path; ${able}`);
  });
  app.get('/health', (context) => context.json({ status: 'ok' }));
  const model = { id: served.name, object: 'model', created, owned_by: 'taper' };
  app.get('/v1/models', (context) => context.json({ object: 'list', data: [model] }));
  app.get('/v1/models/:name', (context) => {
    checkName(context.req.param('name'), served.name);
    return context.json(model);
  });
  const limit = bodyLimit({
    maxSize: mostBodyBytes,
    onError: () => {
      throw new RequestError(413, `the body has more than ${mostBodyBytes / 1e6} MB; send less at once`);
    },
  });
  for (const path of Object.keys(routes)) {
    app.post(path, limit, async (context) => {
      const route = answered.get(path);
      if (!route) throw new RequestError(400, `${path} is nothing that this model can do; ${able}`);
      const asked = bodyOf(await jsonOf(context), route.body, served.name);
      const answer = route.answer(asked, context.req.raw.signal);
      if (!(Symbol.asyncIterator in answer)) return context.json(await answer);
      const cut = () => context.env.outgoing.destroy();
      const stream = await eventStream(answer, { stallMs, cut, report });
      return context.body(stream, 200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    });
  }
  const methods = { GET: ['/health', '/v1/models'], POST: Object.keys(routes) };
  for (const [method, paths] of Object.entries(methods)) {
    for (const path of paths) {
      app.all(path, (context) => {
        context.header('allow', method);
        throw new RequestError(405, `${path} takes ${method}, and not ${context.req.method}`);
      });
    }
  }
  return app;
}

/** Without a token only this machine's own names are answered to; with one, everyone who has it. Pages of other sites never are. */
function checkAllowed(context: Context, token: string | undefined): void {
  if (isCrossSite(context))
    throw new RequestError(403, 'requests from pages of other sites are refused; send them from your own server');
  if (token === undefined) {
    if (isOwnName(context)) return;
    throw new RequestError(
      403,
      'this server answers to 127.0.0.1 and localhost only; start it with --host ADDRESS to use another name',
    );
  }
  const [, given = ''] = /^Bearer (.*)$/i.exec(context.req.header('authorization') ?? '') ?? [];
  if (isToken(given, token)) return;
  throw new RequestError(
    401,
    'the token is missing or wrong: send the one that npx taper-lm serve printed, as apiKey or as Authorization: Bearer TOKEN',
    {
      code: 'invalid_api_key',
    },
  );
}

async function jsonOf(context: Context): Promise<unknown> {
  const type = context.req.header('content-type') ?? '';
  if (!/^application\/json\b/i.test(type)) {
    throw new RequestError(415, `the body is ${type || 'of no type'}; send JSON with Content-Type: application/json`);
  }
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RequestError(400, `the body is not JSON: ${(cause as Error).message.replaceAll('\n', ' ')}`);
  }
}

/** A field that is null is one that is left out, as OpenAI's server takes it. */
function withoutNulls(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

/** The body of a request as its route takes it, for the model that is served. */
function bodyOf<B>(body: unknown, schema: z.ZodType<B>, name: string): B {
  const { success, data, error } = schema.safeParse(withoutNulls(body));
  if (!success) {
    const { path, message, code } = error.issues[0]!;
    const param = path.length > 0 ? path.join('.') : null;
    const hint = code === 'unrecognized_keys' ? `; this path takes ${fieldsOf(schema).join(', ')}` : '';
    throw new RequestError(400, `${param === null ? '' : `${param}: `}${message}${hint}`, { param });
  }
  checkName((data as { model?: string }).model ?? name, name);
  return data;
}

/** The names of the fields of a body. */
const fieldsOf = (schema: z.ZodType) => Object.keys('shape' in schema ? (schema.shape as object) : {});

function checkName(asked: string, name: string): void {
  if (asked === name) return;
  throw new RequestError(404, `model: "${asked}" is not served here, but "${name}" is`, {
    param: 'model',
    code: 'model_not_found',
  });
}
