/** Prints a warning as one line on standard error. */
export const warn = (message: string) => void process.stderr.write(`warning: ${message}\n`);
