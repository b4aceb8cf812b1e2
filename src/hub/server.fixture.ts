import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

// A server that speaks the Hub's protocol, and a second one on another host that stores its large files.

/** Files of this size and more lie in the storage, as with LFS. */
const largeBytes = 1000;
/** Entries on a page of a repository's list. */
const pageSize = 3;

/** What a repository holds; `commits` by branch. */
interface Repository {
  commits: Map<string, string>;
  trees: Map<string, Map<string, Buffer>>;
  isPrivate: boolean;
  isGated: boolean;
}

/** What goes wrong for a path, the given number of times. */
export interface Fault {
  times: number;
  /** Answers with this status instead. */
  status?: number;
  headers?: Record<string, string>;
  /** Cuts the connection after this number of bytes of the body. */
  cutAfter?: number;
  /** Sends this instead of the content. */
  content?: Buffer;
  /** Stalls after this number of bytes of the body. */
  stallAfter?: number;
}

export interface Request {
  server: 'hub' | 'storage';
  method: string;
  path: string;
  range: string | undefined;
  authorization: string | undefined;
  ifRange: string | undefined;
}

const sha1 = (content: Buffer) => createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** A Hub on 127.0.0.1, with its storage on localhost. */
export class HubServer implements AsyncDisposable {
  readonly requests: Request[] = [];
  readonly faults = new Map<string, Fault>();
  /** Whether ranges are honoured. */
  ranges = true;
  /** Files at plain addresses, below /web/. */
  readonly web = new Map<string, { content: Buffer; headers?: Record<string, string> }>();
  readonly token = 'hf_secret-of-the-test';
  /** Bytes of bodies that were sent. */
  sent = 0;
  readonly #repositories = new Map<string, Repository>();
  readonly #uploads = new Map<string, Buffer>();
  readonly #servers = {
    hub: createServer((request, response) => void this.#answer('hub', request, response)),
    storage: createServer((request, response) => void this.#answer('storage', request, response)),
  };

  async start(): Promise<this> {
    for (const server of Object.values(this.#servers)) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    return this;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#servers.hub.address() as AddressInfo).port}`;
  }

  /** What a program needs to ask this Hub and nobody else. */
  get env(): Record<string, string> {
    const noProxy = { NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost' };
    return { HF_ENDPOINT: this.endpoint, HF_TOKEN: '', HF_TOKEN_PATH: '/nowhere', HF_HUB_OFFLINE: '', ...noProxy };
  }

  get #storage(): string {
    return `http://localhost:${(this.#servers.storage.address() as AddressInfo).port}`;
  }

  /** Makes a commit of a repository, `datasets/ORG/NAME` or `models/ORG/NAME`, with all its files; returns its hash. */
  commit(
    repo: string,
    files: Record<string, string | Buffer>,
    { branch = 'main', isPrivate = false, isGated = false } = {},
  ): string {
    const tree = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content as string)]));
    const repository = this.#repositories.get(repo) ?? { commits: new Map(), trees: new Map(), isPrivate, isGated };
    const hash = createHash('sha1').update(JSON.stringify([...tree].map(([path, content]) => [path, sha1(content)])));
    const commit = hash.digest('hex');
    repository.commits.set(branch, commit);
    repository.trees.set(commit, tree);
    this.#repositories.set(repo, repository);
    return commit;
  }

  /** The files of a repository's branch. */
  files(repo: string, branch = 'main'): ReadonlyMap<string, Buffer> {
    const repository = this.#repositories.get(repo)!;
    return repository.trees.get(repository.commits.get(branch)!)!;
  }

  isPrivate(repo: string): boolean | undefined {
    return this.#repositories.get(repo)?.isPrivate;
  }

  /** Whether requests for a path were made, and which. */
  requestsFor(part: string): Request[] {
    return this.requests.filter(({ path }) => path.includes(part));
  }

  async close(): Promise<void> {
    for (const server of Object.values(this.#servers)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(server: 'hub' | 'storage', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(request.url!);
    const { range, authorization } = request.headers;
    const ifRange = request.headers['if-range'] as string | undefined;
    this.requests.push({ server, method: request.method!, path, range, authorization, ifRange });
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk as Buffer);
    const fault = [...this.faults].find(([part, { times }]) => path.includes(part) && times > 0)?.[1];
    const isOfStatus = fault?.status !== undefined;
    if (fault && isOfStatus) {
      fault.times -= 1;
      response.writeHead(fault.status!, fault.headers).end('busy');
      return;
    }
    if (server === 'storage') {
      if (request.method === 'PUT') {
        this.#uploads.set(path.slice(1), Buffer.concat(body));
        response.writeHead(200).end();
        return;
      }
      const [repo = '', commit = '', ...file] = new URL(request.url!, 'http://x').searchParams.get('of')!.split(' ');
      const content = this.#repositories.get(repo)!.trees.get(commit)!.get(file.join(' '))!;
      this.#send(request, response, content, { etag: `"${sha256(content)}"` }, fault);
      return;
    }
    if (path.startsWith('/web/')) {
      const file = this.web.get(path.slice(5));
      if (!file) response.writeHead(404).end();
      else this.#send(request, response, file.content, file.headers ?? {}, fault);
      return;
    }
    this.#hub(request, response, { path, body: Buffer.concat(body), fault });
  }

  #hub(
    request: IncomingMessage,
    response: ServerResponse,
    { path, body, fault }: { path: string; body: Buffer; fault: Fault | undefined },
  ): void {
    const { authorization } = request.headers;
    const json = (value: unknown, headers = {}) =>
      response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    const refuse = (status: number, code: string, message: string) =>
      response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end(message);
    const isKnown = authorization === `Bearer ${this.token}`;
    if (authorization !== undefined && !isKnown) {
      response.writeHead(401, { 'x-error-message': 'Invalid credentials in Authorization header' }).end();
      return;
    }
    if (path === '/api/repos/create') {
      const { name, organization, type, visibility } = JSON.parse(body.toString()) as Record<string, string>;
      const repo = `${type}s/${organization}/${name}`;
      if (!isKnown) refuse(401, '', 'Unauthorized');
      else if (this.#repositories.has(repo)) response.writeHead(409).end('exists');
      else {
        this.commit(repo, {}, { isPrivate: visibility === 'private' });
        json({ url: `${this.endpoint}/${organization}/${name}`, id: `${organization}/${name}` });
      }
      return;
    }
    const batch = /^\/(.+)\.git\/info\/lfs\/objects\/batch$/.exec(path);
    if (batch) {
      const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
      const upload = (oid: string) => ({ upload: { href: `${this.#storage}/${oid}` } });
      json({ transfer: 'basic', objects: objects.map(({ oid, size }) => ({ oid, size, actions: upload(oid) })) });
      return;
    }
    const api = /^\/api\/((?:datasets|models)\/.+?)\/(revision|tree|preupload|commit)\/([^?]+)(?:\?(.*))?$/.exec(path);
    const file = /^\/(datasets\/)?([^/]+\/[^/]+|[^/]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path);
    const repo = api?.[1] ?? (file && `${file[1] ?? 'models/'}${file[2]}`);
    const repository = this.#repositories.get(repo ?? '');
    if (!repository || (repository.isPrivate && !isKnown)) {
      refuse(authorization === undefined ? 401 : 404, 'RepoNotFound', 'Repository not found');
      return;
    }
    if (api) {
      const [, , what, revision, query = ''] = api as unknown as [string, string, string, string, string?];
      if (what === 'preupload') {
        const { files } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
        json({ files: files.map((each) => ({ ...each, uploadMode: each.size >= largeBytes ? 'lfs' : 'regular' })) });
        return;
      }
      if (what === 'commit') {
        if (!isKnown) refuse(403, '', 'Forbidden');
        else json({ success: true, commitOid: this.#commitOf(repo!, body), commitUrl: `${this.endpoint}/commit` });
        return;
      }
      const commit = repository.commits.get(revision) ?? (repository.trees.has(revision) ? revision : undefined);
      if (commit === undefined) refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
      else if (what === 'revision')
        json({
          _id: '1',
          id: repo!.replace(/^\w+\//, ''),
          sha: commit,
          private: repository.isPrivate,
          gated: false,
          downloads: 0,
          likes: 0,
        });
      else {
        const entries = [...repository.trees.get(commit)!].map(([name, content]) => entryOf(name, content));
        const at = Number(new URLSearchParams(query).get('cursor') ?? 0);
        const next = `<${this.endpoint}${path.split('?')[0]}?recursive=true&cursor=${at + pageSize}>; rel="next"`;
        json(entries.slice(at, at + pageSize), at + pageSize < entries.length ? { link: next } : {});
      }
      return;
    }
    const [, , , commit, name] = file as unknown as [string, string, string, string, string];
    const content = repository.trees.get(commit)?.get(name);
    if (repository.isGated && !isKnown) refuse(401, 'GatedRepo', 'Access to this resource is gated');
    else if (content === undefined) refuse(404, 'EntryNotFound', 'Entry not found');
    else if (content.length >= largeBytes) {
      const location = `${this.#storage}/blob?of=${encodeURIComponent([repo, commit, name].join(' '))}`;
      response.writeHead(302, { location, 'x-repo-commit': commit }).end();
    } else this.#send(request, response, content, { etag: `"${sha1(content)}"` }, fault);
  }

  /** Adds the files of a commit's lines to a repository. */
  #commitOf(repo: string, body: Buffer): string {
    const files: Record<string, Buffer> = Object.fromEntries(this.files(repo));
    for (const line of body.toString().trim().split('\n')) {
      const { key, value } = JSON.parse(line) as { key: string; value: Record<string, string> };
      if (key === 'file') files[value.path!] = Buffer.from(value.content!, 'base64');
      if (key === 'lfsFile') files[value.path!] = this.#uploads.get(value.oid!)!;
    }
    return this.commit(repo, files);
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    whole: Buffer,
    about: Record<string, string>,
    fault: Fault | undefined,
  ): void {
    if (about.etag !== undefined && request.headers['if-none-match'] === about.etag) {
      response.writeHead(304).end();
      return;
    }
    const content = fault?.content ?? whole;
    const { range } = request.headers;
    const condition = request.headers['if-range'];
    const isSame = condition === undefined || condition === about.etag || condition === about['last-modified'];
    let [start, end] = [0, content.length];
    const [, from, to] = (this.ranges && isSame && /^bytes=(\d*)-(\d*)$/.exec(range ?? '')) || [];
    const isPart = from !== undefined;
    if (from) [start, end] = [Number(from), to ? Math.min(end, Number(to) + 1) : end];
    else if (isPart) start = Math.max(0, end - Number(to));
    if (start > content.length || (start === content.length && start > 0)) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const part = content.subarray(start, end);
    response.writeHead(isPart ? 206 : 200, {
      ...about,
      'content-length': part.length,
      ...(isPart && { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }),
    });
    const limit = fault?.cutAfter ?? fault?.stallAfter;
    if (fault) fault.times -= 1;
    this.sent += Math.min(part.length, limit ?? part.length);
    if (limit === undefined) response.end(part);
    else
      response.write(part.subarray(0, limit), () => {
        if (fault?.cutAfter !== undefined) setTimeout(() => response.destroy(), 20);
      });
  }
}

function entryOf(path: string, content: Buffer): object {
  const lfs = { oid: sha256(content), size: content.length, pointerSize: 130 };
  return {
    type: 'file',
    path,
    size: content.length,
    oid: content.length >= largeBytes ? sha1(Buffer.from('pointer')) : sha1(content),
    ...(content.length >= largeBytes && { lfs }),
  };
}
