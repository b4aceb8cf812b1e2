/** A count with its noun: `1 file`, `2 files`, `1,024 rows`; `plural` if adding an s is not enough. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;
}

/** Why a signal was aborted: a text, or the message of an error. */
export function abortReason(signal: AbortSignal | undefined): string {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason.message : String(reason);
}
