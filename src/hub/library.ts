import { ConfigError, DataError } from '../errors/index.ts';
import { ask, persistently, temporaryReason } from './ask.ts';
import { type HubName, hubKinds, hubPath, pinned } from './names.ts';
import { type Asked, refusal } from './refusal.ts';
import { hubSettings } from './settings.ts';

/** What a message says of a name where the Hub refuses it. */
export function askedOf(name: HubName): Asked & { hub: NonNullable<Asked['hub']> } {
  const { base, revision = 'main' } = name;
  const page = `${hubSettings().endpoint}/${hubPath(name)}`;
  return {
    name: revision === 'main' ? base : pinned(name, revision),
    hub: { what: hubKinds[name.type].words, page, revision },
  };
}

/**
 * A `fetch` for Hugging Face's library: with our token only at the Hub, again after faults that leave nothing half, and with errors for
 * people.
 */
export function fetchFor(name: HubName): typeof fetch {
  const asked = askedOf(name);
  const { page, revision } = asked.hub;
  const { endpoint } = hubSettings();
  const send = (url: string, init: Parameters<typeof ask>[1] = {}) => {
    const headers = Object.fromEntries(new Headers(init.headers));
    delete headers.authorization;
    const attempt = async () => {
      const response = await ask(url, { ...init, headers });
      if (response.ok) return response;
      if (response.status === 409 && url === `${endpoint}/api/repos/create`) return existing(page);
      if (response.status === 403 && init.method === 'POST')
        throw new ConfigError(`${name.base}: your token cannot write to this repository; set HF_TOKEN to one that can`);
      throw await refusal(asked, response);
    };
    const isCommit = url.startsWith(`${endpoint}/api/${name.type}s/${name.repo}/commit/`);
    return isCommit ? once(asked, attempt, `${page}/commits/${revision}`) : persistently(asked.name, attempt);
  };
  return send as unknown as typeof fetch;
}

/** A commit is not sent again: it may be there though its answer was lost. */
async function once<T>({ name }: Asked, attempt: () => Promise<T>, commits: string): Promise<T> {
  try {
    return await attempt();
  } catch (cause) {
    const reason = temporaryReason(cause);
    if (reason === undefined) throw cause;
    const advice = `check ${commits}, and run the same command again if the commit is missing`;
    throw new DataError(`${name}: the commit was not confirmed (${reason}); ${advice}`, { cause });
  }
}

/** What the Hub answers to a repository that is made, for one that is there. */
const existing = (url: string) => new Response(JSON.stringify({ url, id: url }), { status: 200 });
