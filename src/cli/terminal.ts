/** A warning in a line of its own on standard error. */
export const warn = (message: string) => void process.stderr.write(`warning: ${message}\n`);
