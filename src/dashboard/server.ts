import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Context, Hono } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { secureHeaders } from 'hono/secure-headers';
import { streamSSE } from 'hono/streaming';
import { SetupError } from '../errors/index.ts';
import { calledAs, isCrossSite, isOwnName, isToken, listen, tokenFor } from '../http/index.ts';
import type { ServerEvent } from './api.ts';
import { Comparer } from './compare.ts';
import { Runs } from './runs.ts';

/** The page, built by the set-up. */
const pageFolder = fileURLToPath(new URL('../../dashboard', import.meta.url));
const contentTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** How often runs are read while a page is open. */
const lookMs = 2000;

/** The runs that a dashboard shows, and the address it listens on. */
export interface DashboardOptions {
  /** A folder of runs, or one run. */
  folder: string;
  /** The address to listen on; every address except 127.0.0.1 requires a token. */
  host: string;
  /** 0 takes a free port. */
  port: number;
}

/** A running dashboard. */
export interface Dashboard {
  /** The address of the page, including the token if one is required. */
  url: string;
  /** Stops the server and closes all connections. */
  close(): Promise<void>;
}

/**
 * Serves the dashboard of a folder of runs.
 *
 * @throws ConfigError if the address or the port cannot be listened on.
 * @throws SetupError if the page is not built.
 */
export async function startDashboard({ folder, host, port }: DashboardOptions): Promise<Dashboard> {
  const token = tokenFor(host);
  const { server, origin } = await listen(dashboardApp(new Runs(folder), token), { host, port });
  const query = token === undefined ? '' : `?token=${token}`;
  return {
    url: `${origin}/${query}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function dashboardApp(runs: Runs, token: string | undefined): Hono {
  const files = pageFiles();
  const comparer = new Comparer();
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
      },
    }),
  );
  app.use(async (context, next) => (isAllowed(context, token) ? next() : context.text(refusal(token), 403)));
  app.onError((error, context) => context.text(error.message, 500));
  app.get('/api/runs', (context) => context.json(runs.list().runs));
  app.get('/api/run', async (context) => {
    const found = await runs.view(context.req.query('name') ?? '');
    return found ? context.json(found.view()) : context.text('no such run', 404);
  });
  app.get('/api/compare', async (context) => {
    const folders = (context.req.queries('run') ?? []).map((name) => runs.folderOf(name));
    if (folders.some((folder) => folder === undefined)) return context.text('no such run', 404);
    if (folders.length < 2) return context.text('a comparison needs at least two runs', 400);
    return context.json(await comparer.compare(folders as string[], context.req.raw.signal));
  });
  app.get('/api/events', (context) =>
    streamSSE(context, async (stream) => {
      const send = (event: ServerEvent) => stream.writeSSE({ data: JSON.stringify(event) });
      const sent = new Map<string, string>();
      const isNew = (key: string, version: string) => sent.get(key) !== version && sent.set(key, version);
      while (!stream.aborted) {
        const list = runs.list();
        if (isNew('', JSON.stringify(list))) await send({ list });
        for (const name of context.req.queries('run') ?? []) {
          try {
            const found = await runs.view(name);
            if (found && isNew(name, found.version)) await send({ run: found.view() });
          } catch (error) {
            const { message } = error as Error;
            if (isNew(`${name}\n`, message)) await send({ failed: { name, error: message } });
          }
        }
        await stream.sleep(lookMs);
      }
    }),
  );
  app.get('*', (context) => {
    const file = files.get(context.req.path === '/' ? '/index.html' : context.req.path);
    return file ? context.body(file.body, 200, { 'content-type': file.type }) : context.text('not found', 404);
  });
  return app;
}

/** The page's files by path. They are few and small, and no other file is served. */
function pageFiles(): Map<string, { body: Uint8Array<ArrayBuffer>; type: string }> {
  try {
    const names = readdirSync(pageFolder, { recursive: true, encoding: 'utf8' }).filter((name) => extname(name) !== '');
    return new Map(
      names.map((name) => {
        const body = new Uint8Array(readFileSync(join(pageFolder, name)));
        return [`/${name}`, { body, type: contentTypes[extname(name)] ?? 'application/octet-stream' }];
      }),
    );
  } catch (cause) {
    throw new SetupError('the dashboard page is not built; run `npm run build`', { cause });
  }
}

/**
 * Without a token, only requests to this machine's own names are allowed; with one, all requests that carry it. Requests from
 * pages of other sites are never allowed.
 */
function isAllowed(context: Context, token: string | undefined): boolean {
  if (isCrossSite(context) && context.req.path !== '/') return false;
  if (token === undefined) return isOwnName(context);
  const cookieName = `taper-token-${calledAs(context)?.port}`; // cookies are shared by the ports of a host
  const isRight = isToken(context.req.query('token') ?? getCookie(context, cookieName) ?? '', token);
  if (isRight) setCookie(context, cookieName, token, { httpOnly: true, sameSite: 'Strict' });
  return isRight;
}

const refusal = (token: string | undefined) =>
  token === undefined
    ? 'this dashboard only answers at 127.0.0.1 and localhost'
    : 'the token is missing or wrong: open the address that npx taper-lm dashboard printed';
