/** A number for people: three significant digits, or a whole number with thousands separators from 1,000 up. */
export function rounded(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

/** A large number in compact notation: `1.2M`. */
export const compact = (value: number) =>
  Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(value);

/** A fraction as a percentage. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

/** Seconds as `42s`, `3m05s` or `2h07m`, above two days as `3.2 days`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const pair = (large: number, small: number, units: string) =>
    `${large}${units[0]}${String(small).padStart(2, '0')}${units[1]}`;
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), whole % 60, 'ms');
  const minutes = Math.round(seconds / 60);
  if (minutes > 48 * 60) return `${rounded(minutes / (24 * 60))} days`;
  return pair(Math.floor(minutes / 60), minutes % 60, 'hm');
}

const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

/** FLOPs with an SI prefix: `1.23 PFLOPs`. */
export function flopsText(flops: number): string {
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, flops)) / 3)));
  return `${rounded(flops / 1000 ** power)} ${prefixes[power]}FLOPs`;
}

/** Bytes as MB or GB. */
export function bytesText(bytes: number): string {
  return bytes < 1e9 ? `${rounded(bytes / 1e6)} MB` : `${rounded(bytes / 1e9)} GB`;
}

/** A value in words, or a dash if there is none. */
export const orDash = <T>(value: T | null | undefined, write: (value: T) => string): string =>
  value === null || value === undefined ? '–' : write(value);

/** A Markdown table; the first row is the header. */
export function markdownTable(rows: readonly (readonly (string | number)[])[]): string {
  const [head, ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  return [head, `|${' --- |'.repeat(rows[0]!.length)}`, ...body].join('\n');
}

/** Rows as lines of text in aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}
