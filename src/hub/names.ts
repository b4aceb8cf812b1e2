import { DataError } from '../errors/index.ts';

/** The kinds of Hub repositories: their name in messages, the prefix of their page, and the form of their names. */
export const hubKinds = {
  dataset: { words: 'data set', folder: 'datasets/', form: 'hf:datasets/ORG/NAME[/PATH][:SPLIT][@REVISION]' },
  model: { words: 'model', folder: '', form: 'hf:ORG/NAME[@REVISION]' },
} as const;

/**
 * A name on the Hugging Face Hub: `hf:[datasets/]ORG/NAME[/PATH][:SPLIT][@REVISION]`. A run appends the commit that the
 * revision resolved to, `@REVISION@COMMIT`.
 */
export interface HubName {
  /** As it was given, without the revision. */
  base: string;
  type: keyof typeof hubKinds;
  /** `ORG/NAME`; an old data set or model has only a `NAME`. */
  repo: string;
  /** A subset, folder, file or glob of a data set; empty where none is named. */
  path: string;
  split?: string;
  /** A branch, tag or commit, the commit where both are named; `main` where none is. */
  revision?: string;
}

const grammar =
  /^(hf:(datasets\/)?((?!datasets(?:[/:@\s]|$))[\w.-]+(?:\/[\w.-]+)?)(?:\/([^:@\s](?:[^:@]*[^:@/\s])?)\/?)?(?::(\w+(?:\.\w+)*))?)(?:@([^\s@]+))?(?:@([0-9a-f]{40}))?$/;

/** Whether a text names something on the Hub. */
export const isHubName = (name: string) => name.startsWith('hf:');

/** Whether a text is an address on the web. */
export const isAddress = (name: string) => /^https?:\/\//i.test(name);

/** Whether a revision is the hash of a commit, which never changes. */
export const isCommit = (revision: string | undefined) => /^[0-9a-f]{40}$/.test(revision ?? '');

/** The name with a commit, which always means the same files. */
export const pinned = ({ base }: HubName, commit: string) => `${base}@${commit}`;

/** Where its page is on the Hub. */
export const hubPath = ({ type, repo }: HubName) => `${hubKinds[type].folder}${repo}`;

/**
 * Reads a name on the Hub, of a data set or a model, whichever is wanted.
 *
 * @throws DataError if it is not a name, or names the other kind.
 */
export function parseHubName(name: string, type: HubName['type']): HubName {
  const { words, form } = hubKinds[type];
  const [, base, datasets, repo, path = '', split, asked, commit] = grammar.exec(name) ?? [];
  if (base === undefined || repo === undefined)
    throw new DataError(`${name}: is not a name on the Hub; expected ${form}`);
  const found = datasets === undefined ? 'model' : 'dataset';
  if (found !== type) {
    const instead = type === 'dataset' ? `; for the data set of that name, use hf:datasets/${name.slice(3)}` : '';
    throw new DataError(`${name}: is the name of a ${hubKinds[found].words}; expected a ${words}, ${form}${instead}`);
  }
  if (type === 'model' && (path !== '' || split !== undefined))
    throw new DataError(`${name}: the name of a model takes no path or split; expected ${form}`);
  const revision = commit ?? asked;
  return { base, type, repo, path, ...(split && { split }), ...(revision && { revision }) };
}
