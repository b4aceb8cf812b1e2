/** How much of a window the next one has as well. */
const overlap = 0.25;

/** Tokens or words `first` to `end` (not included). */
export interface Window {
  first: number;
  end: number;
}

/** Windows over words of so many tokens each, with room for `room` tokens; an empty one where there are no words. */
export function windowsOf(lengths: readonly number[], room: number): Window[] {
  const windows: Window[] = [];
  let first = 0;
  for (;;) {
    let [end, used] = [first, 0];
    while (end < lengths.length && used + lengths[end]! <= room) used += lengths[end++]!;
    if (end === first && end < lengths.length) end += 1; // one that is longer than a window is a window of its own
    windows.push({ first, end });
    if (end === lengths.length) return windows;
    let [next, shared] = [end, 0];
    while (next - 1 > first && shared + lengths[next - 1]! <= overlap * room) shared += lengths[--next]!;
    first = next;
  }
}
