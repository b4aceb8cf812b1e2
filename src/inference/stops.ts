/** The index of the first stop in a text, or −1. */
export function firstStop(text: string, stops: readonly string[]): number {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return places.length > 0 ? Math.min(...places) : -1;
}

/**
 * How many characters at the end of a text may still change: a character whose last bytes are still missing, or the beginning of
 * a stop.
 */
export function heldBack(text: string, stops: readonly string[]): number {
  const broken = /\uFFFD+$/.exec(text)?.[0].length ?? 0;
  const begun = stops.map((stop) => {
    for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
      if (text.endsWith(stop.slice(0, length))) return length;
    }
    return 0;
  });
  return Math.max(broken, ...begun);
}
