import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context } from 'hono';

const loopback = ['127.0.0.1', 'localhost', '[::1]'];

/** The token that a server at an address asks for: none on 127.0.0.1, where only this machine can reach it. */
export const tokenFor = (host: string): string | undefined =>
  host === '127.0.0.1' ? undefined : randomBytes(24).toString('base64url');

/** Compares tokens in constant time. */
export function isToken(given: string, token: string): boolean {
  const [ours, theirs] = [Buffer.from(token), Buffer.from(given)];
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}

/** The host and port that a request was sent to, as its client calls them. */
export function calledAs(context: Context): URL | undefined {
  const origin = `http://${context.req.header('host') ?? ''}`;
  return URL.canParse(origin) ? new URL(origin) : undefined;
}

/** Whether a client calls this machine by its own name: a page from elsewhere may lead here by a name of its own. */
export const isOwnName = (context: Context): boolean => loopback.includes(calledAs(context)?.hostname ?? '');

/** Whether another site's page asks. */
export const isCrossSite = (context: Context): boolean => context.req.header('sec-fetch-site') === 'cross-site';
