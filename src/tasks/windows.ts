/** The share of a window that overlaps with the next one. */
const overlap = 0.25;

/** Tokens or words `first` to `end` (not included). */
export interface Window {
  first: number;
  end: number;
}

/** Windows over words of these numbers of tokens, each window with room for `room` tokens; one empty window if there are no words. */
export function windowsOf(lengths: readonly number[], room: number): Window[] {
  const windows: Window[] = [];
  let first = 0;
  for (;;) {
    let [end, used] = [first, 0];
    while (end < lengths.length && used + lengths[end]! <= room) used += lengths[end++]!;
    if (end === first && end < lengths.length) end += 1; // a word longer than a window gets its own window
    windows.push({ first, end });
    if (end === lengths.length) return windows;
    let [next, shared] = [end, 0];
    while (next - 1 > first && shared + lengths[next - 1]! <= overlap * room) shared += lengths[--next]!;
    first = next;
  }
}
