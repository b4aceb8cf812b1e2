import type { Response } from 'undici';
import { DataError } from '../errors/index.ts';
import { hubSettings } from './settings.ts';

/** What is asked for: as messages call it, and on the Hub what it is, and its page. */
export interface Asked {
  name: string;
  hub?: { what: string; page: string; revision: string };
}

/** What the Hub calls a refusal, and what to do about it. */
const hubReasons: Record<string, (hub: NonNullable<Asked['hub']>) => string> = {
  GatedRepo: ({ what, page }) =>
    `the ${what} is gated: accept its conditions at ${page}, then set HF_TOKEN to a token of the account that accepted them`,
  RevisionNotFound: ({ revision, page }) => `no revision ${revision}; ${page}/tree/main lists what exists`,
  EntryNotFound: ({ page }) => `no such file; ${page}/tree/main lists what exists`,
  RepoNotFound: noRepository,
};

function noRepository({ what }: NonNullable<Asked['hub']>): string {
  const { endpoint } = hubSettings();
  return `no such ${what} on ${endpoint}, or it is private; check the name, or set HF_TOKEN to a token that can read it`;
}

/** The error of an answer that refuses. Source: `hf_raise_for_status` of Hugging Face's Python client, for the header X-Error-Code. */
export async function refusal({ name, hub }: Asked, response: Response): Promise<DataError> {
  await response.body?.cancel();
  const { status, statusText, headers, url } = response;
  const { endpoint, token } = hubSettings();
  const fail = (reason: string) => new DataError(`${name}: ${reason}`);
  if (hub && new URL(url).origin === new URL(endpoint).origin) {
    const isWrongToken = status === 401 && /credentials|token/i.test(headers.get('x-error-message') ?? '');
    if (isWrongToken && token !== undefined)
      return fail(`${endpoint} rejected your token; set HF_TOKEN to a valid one`);
    const code = headers.get('x-error-code') ?? (status === 401 || status === 404 ? 'RepoNotFound' : '');
    const reason = hubReasons[code]?.(hub);
    if (reason !== undefined) return fail(reason);
  }
  const what = `the server answered ${status}${statusText && ` (${statusText})`}`;
  const message = headers.get('x-error-message');
  return fail(`${what}${message ? `: ${message.slice(0, 200)}` : ''}; check the address and your access to it`);
}
