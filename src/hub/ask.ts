import { setTimeout } from 'node:timers/promises';
import type { RequestInit, Response } from 'undici';
import { DataError } from '../errors/index.ts';
import { hubSettings } from './settings.ts';

/** The pauses between attempts, in seconds, where the server does not say how long to wait. */
const pauses = [0.5, 1, 2, 4];
/** The longest pause in seconds; a server that asks for more is given up on. */
const longestPause = 600;
/** Answers of a server that is busy. */
const busy = new Set([408, 429, 500, 502, 503, 504]);
/** Without data for this long, a connection counts as broken. */
const silenceMs = 60_000;

/** Node's codes of certificates that fail. Source: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateCodes =
  /^(CERT_|CRL_|ERR_TLS_CERT_|DEPTH_ZERO_|SELF_SIGNED_CERT|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/;

/** undici's messages for an address that can never work. */
const wrongAddress = /^(redirect count exceeded|bad port|unknown scheme)/;

/** Is called with the reason of a pause and the seconds that are left of it: once at its start, then each second. It may throw, to end it. */
export type OnPause = (reason: string, secondsLeft: number) => void;

/** A server that could not be reached, or was busy for all attempts. */
export class UnreachableError extends DataError {
  /** What happened, without what to do about it. */
  readonly what: string;
  constructor(what: string, options: ErrorOptions) {
    super(`${what}; run the same command again to resume`, options);
    this.what = what;
  }
}

/**
 * Retries a network operation after a broken connection or a busy server: as long as `hasProgress` reports that the attempt
 * downloaded something, otherwise a few times.
 *
 * @throws UnreachableError after the last attempt, and DataError for an untrusted certificate or an invalid address.
 */
export async function persistently<T>(
  name: string,
  attempt: () => Promise<T>,
  { onPause = () => {}, hasProgress = () => false }: { onPause?: OnPause; hasProgress?: () => boolean } = {},
): Promise<T> {
  for (let failed = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      const reason = temporaryReason(error);
      if (reason === undefined) throw lasting(name, error) ?? error;
      if (hasProgress()) failed = 0;
      const seconds = (error instanceof BusyError ? error.seconds : undefined) ?? pauses[failed];
      failed += 1;
      if (seconds === undefined || seconds > longestPause || failed > pauses.length) {
        const wait =
          seconds !== undefined && seconds > longestPause ? `; it asks to wait ${Math.ceil(seconds / 60)} minutes` : '';
        throw new UnreachableError(`${name}: cannot be downloaded (${reason}${wait})`, { cause: error });
      }
      for (let left = seconds; left > 0; left -= 1) {
        onPause(reason, Math.ceil(left));
        await setTimeout(1000 * Math.min(1, left));
      }
    }
  }
}

/** A broken response that may succeed when asked for again. */
export class BrokenError extends Error {}

/** A server that answers that it is busy, and in how many seconds it wants to be asked again, if it says so. */
class BusyError extends Error {
  readonly seconds: number | undefined;
  constructor({ status, headers }: Response) {
    super(status === 429 ? 'too many requests (429)' : `the server answered ${status}`);
    const after = headers.get('retry-after');
    const window = /\bt=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]; // of Hugging Face's limits
    if (after !== null) this.seconds = Number.isNaN(Number(after)) ? secondsUntil(after) : Math.max(0, Number(after));
    else if (status === 429 && window !== undefined) this.seconds = Number(window);
  }
}

function secondsUntil(date: string): number | undefined {
  const ms = Date.parse(date) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms / 1000);
}

/** Why it is worth asking again; undefined where it is not. */
export function temporaryReason(error: unknown): string | undefined {
  if (error instanceof BusyError || error instanceof BrokenError) return error.message;
  // undici's fetch throws this class, with a cause, for all that the network does, before the answer and within its body.
  if (!(error instanceof TypeError && error.cause instanceof Error)) return undefined;
  const { message, code } = error.cause as NodeJS.ErrnoException;
  return certificateCodes.test(code ?? '') || wrongAddress.test(message) ? undefined : message || code || error.message;
}

/** The error for a failure that retrying cannot fix: an untrusted certificate, or an invalid address. */
function lasting(name: string, error: unknown): DataError | undefined {
  const { message, code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  if (wrongAddress.test(message ?? ''))
    return new DataError(`${name}: cannot be downloaded (${message}); check the address`, { cause: error });
  if (!certificateCodes.test(code ?? '')) return undefined;
  return new DataError(
    `${name}: the server's certificate is not trusted (${message}); set NODE_EXTRA_CA_CERTS to the certificate file of your proxy or certificate authority, and check the system clock`,
    { cause: error },
  );
}

/** The `fetch` of undici, by way of HTTPS_PROXY where that is set. */
let proxied: Promise<(url: string, init: RequestInit) => Promise<Response>> | undefined;
const load = async () => {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({ bodyTimeout: silenceMs, headersTimeout: silenceMs });
  return (url: string, init: RequestInit) => fetch(url, { ...init, dispatcher });
};

/**
 * One request. The token goes to the Hub's own address, and not to where that redirects.
 *
 * @throws BusyError of a busy server, and TypeError where there is no answer.
 */
export async function ask(
  url: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const { endpoint, token } = hubSettings();
  const isHub = new URL(url).origin === new URL(endpoint).origin;
  proxied ??= load();
  const response = await (await proxied)(url, {
    ...init,
    headers: { ...init.headers, ...(isHub && token !== undefined && { authorization: `Bearer ${token}` }) },
  });
  if (!busy.has(response.status)) return response;
  await response.body?.cancel();
  throw new BusyError(response);
}
