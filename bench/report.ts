import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { median } from '../src/averages.ts';
import { counted } from '../src/errors/index.ts';
import { measuredHere } from './records.ts';

export { markdownTable as table, percent } from '../src/report/format.ts';

/** Writes docs/results/NAME.md: what was measured, by which command, when and on what, and the tables. */
export function writeResults(name: string, title: string, command: string, text: string): void {
  const { date, processor } = measuredHere();
  const head = `# ${title}\n\nMade by \`${command}\` on ${date}: ${processor}, ${counted(availableParallelism(), 'core')}.\n`;
  const path = fileURLToPath(new URL(`../../docs/results/${name}.md`, import.meta.url));
  writeFileSync(path, `${head}\n${text.trim()}\n`);
  console.log(`\n${text.trim()}\n\nwritten to docs/results/${name}.md`);
}

/** `median (least–most)` */
export function medianText(values: readonly number[], digits: number, unit = ''): string {
  const ends = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return `${median(values).toFixed(digits)}${unit} (${ends.join('–')})`;
}
