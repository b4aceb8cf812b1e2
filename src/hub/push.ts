import { pathToFileURL } from 'node:url';
import { ConfigError, counted } from '../errors/index.ts';
import { fetchFor } from './library.ts';
import type { HubName } from './names.ts';
import { hubSettings } from './settings.ts';

/** A file to upload. */
export interface LocalFile {
  path: string;
  /** Its path in the repository. */
  as: string;
}

/** Where the progress of an upload is reported. */
export interface PushOptions {
  message: string;
  isPrivate: boolean;
  /** Is called when the upload begins, and after each large file. */
  say(line: string): void;
}

/** Where an upload is. */
export interface Pushed {
  url: string;
  commit: string;
}

/**
 * Uploads files to a model's repository in one commit. The repository is created if missing, and its other files stay.
 *
 * @throws DataError where it may not be made or written.
 */
export async function push(name: HubName, files: readonly LocalFile[], options: PushOptions): Promise<Pushed> {
  const { endpoint: hubUrl, token, isOffline } = hubSettings();
  if (isOffline) throw new ConfigError(`${name.base}: HF_HUB_OFFLINE is set; unset it to upload`);
  if (token === undefined)
    throw new ConfigError(
      `${name.base}: no token; set HF_TOKEN to a token with write access, from ${hubUrl}/settings/tokens`,
    );
  if (!name.repo.includes('/')) throw new ConfigError(`${name.base}: no owner; give hf:YOU/${name.repo}`);
  const { commitIter, createRepo, modelInfo } = await import('@huggingface/hub');
  const repo = { type: name.type, name: name.repo };
  // The library wants to see a token; the request gets it where it is sent.
  const common = { repo, hubUrl, accessToken: 'hf_', fetch: fetchFor(name) };
  await createRepo({ ...common, visibility: options.isPrivate ? 'private' : 'public' });
  // A repository that exists keeps its visibility.
  if (options.isPrivate && !(await modelInfo({ ...common, name: name.repo, revision: 'main' })).private)
    throw new ConfigError(
      `${name.base}: exists and is public; make it private at ${hubUrl}/${name.repo}/settings, or leave out --private`,
    );
  options.say(`uploading ${counted(files.length, 'file')} to ${hubUrl}/${name.repo}`);
  const operations = files.map(({ path, as }) => ({
    operation: 'addOrUpdate' as const,
    path: as,
    content: pathToFileURL(path),
  }));
  const branch = name.revision ?? 'main';
  // Its way by Xet needs a server of that; LFS is what every Hub speaks.
  const steps = commitIter({ ...common, operations, title: options.message, branch, useXet: false });
  let step = await steps.next();
  for (; !step.done; step = await steps.next()) {
    const event = step.value;
    if (event.event === 'fileProgress' && event.state === 'uploading' && event.progress === 1)
      options.say(`uploaded ${event.path}`);
  }
  return { url: `${hubUrl}/${name.repo}`, commit: step.value!.commit.oid };
}
