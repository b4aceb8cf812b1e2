// The Node versions that taper runs on. Like setup.mjs, this file uses only syntax that Node 12 parses.

/** The oldest supported version of each major version, as in package.json's `engines`. */
const oldest = { 20: 19, 22: 12 };

/** The message for an unsupported version of Node, or undefined. */
export function nodeMistake(version) {
  const [major, minor] = version.split('.').map(Number);
  const serves = major > 22 || (major in oldest && minor >= oldest[major]);
  if (serves) return undefined;
  return `setup: this is Node ${version}; taper needs Node 20.19 or a newer 20.x, or 22.12 or newer.
  Install one from https://nodejs.org/en/download, or with nvm (nvm install 22) or fnm (fnm install 22), and run the same command again.`;
}
