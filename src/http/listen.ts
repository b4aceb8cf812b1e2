import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { ConfigError } from '../errors/index.ts';

/** What answers requests: a Hono. */
type App = Pick<Parameters<typeof serve>[0], 'fetch'>;

/** Where a server listens. */
export interface Address {
  /** An address of this machine. */
  host: string;
  /** 0 takes one that is free. */
  port: number;
}

/**
 * Listens at an address; `origin` is how clients begin its URLs.
 *
 * @throws ConfigError for a port or an address that cannot be had.
 */
export async function listen(app: App, { host, port }: Address): Promise<{ server: Server; origin: string }> {
  if (port > 65_535) throw new ConfigError(`--port ${port}: is no port; give one from 0 to 65535`);
  const server = await listening(app, host, port);
  const { port: taken } = server.address() as AddressInfo;
  return { server, origin: `http://${host.includes(':') ? `[${host}]` : host}:${taken}` };
}

function listening(app: App, hostname: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname, port }, () => resolve(server)) as Server;
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      const message = isTaken
        ? `--port ${port}: something else listens at ${hostname}:${port}; give another port`
        : `--host ${hostname}: cannot be listened at (${cause.message}); give an address of this machine`;
      reject(new ConfigError(message, { cause }));
    });
  });
}
