import type { RunStyle } from './theme.ts';

/** A short piece of a line, for legends and beside the names of runs. */
export function LineSample({ colour, dash, width = 2 }: RunStyle & { width?: number }) {
  return (
    <svg class="sample" width="36" height="8" aria-hidden="true">
      <line x1="0" x2="36" y1="4" y2="4" stroke={colour} stroke-width={width} stroke-dasharray={dash.join(' ')} />
    </svg>
  );
}
