// Which Node taper runs on. Like setup.mjs, only syntax that Node 12 parses.

/** The oldest version of each major version that serves, as package.json's `engines` says. */
const oldest = { 20: 19, 22: 12 };

/** What is wrong with this version of Node, as a line for the user, or undefined. */
export function nodeMistake(version) {
  const [major, minor] = version.split('.').map(Number);
  const serves = major > 22 || (major in oldest && minor >= oldest[major]);
  if (serves) return undefined;
  return `setup: this is Node ${version}; taper needs Node 20.19 or newer of 20, or 22.12 or newer.
  Get one from https://nodejs.org/en/download, or with nvm (nvm install 22) or fnm (fnm install 22), and run the same command again.`;
}
