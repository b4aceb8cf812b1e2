import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../errors/index.ts';
import { isAddress } from './names.ts';

/** Where the Hub is and whose token is used, read as Hugging Face's programs do. */
export interface HubSettings {
  /** Without a slash at the end. */
  endpoint: string;
  /** Is sent only to the endpoint, and never printed or saved. */
  token: string | undefined;
  isOffline: boolean;
}

/**
 * Reads HF_ENDPOINT, HF_HUB_OFFLINE and the token: HF_TOKEN, or the file that `hf auth login` writes.
 *
 * Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 *
 * @throws ConfigError where HF_ENDPOINT is not an address, or the token cannot be one.
 */
export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubSettings {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  if (!isAddress(endpoint) || !URL.canParse(endpoint))
    throw new ConfigError(`HF_ENDPOINT=${endpoint}: is not an address; use one such as https://huggingface.co`);
  return {
    endpoint,
    token: tokenOf(env, join(home, 'token')),
    isOffline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? ''),
  };
}

function tokenOf({ HF_TOKEN, HF_TOKEN_PATH }: NodeJS.ProcessEnv, file: string): string | undefined {
  const given = HF_TOKEN?.trim();
  const token = given || tokenIn(HF_TOKEN_PATH || file);
  if (token === undefined || /^[!-~]+$/.test(token)) return token;
  const where = given ? 'HF_TOKEN' : HF_TOKEN_PATH || file;
  throw new ConfigError(
    `${where}: is not a token: it contains spaces, line breaks or non-ASCII characters; use one from https://huggingface.co/settings/tokens`,
  );
}

function tokenIn(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
