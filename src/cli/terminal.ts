import { styleText } from 'node:util';

/** A text in bold if it goes to a terminal that shows colours and NO_COLOR is unset. */
export const bold = (text: string, stream: NodeJS.WriteStream) => styleText('bold', text, { stream });

/** The word that begins a warning on standard error; yellow on a terminal, unless NO_COLOR is set. */
export const warningWord = () => styleText('yellow', 'warning:', { stream: process.stderr });

/** Prints a warning as one line on standard error. */
export const warn = (message: string) => void process.stderr.write(`${warningWord()} ${message}\n`);
