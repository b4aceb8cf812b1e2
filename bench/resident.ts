import { readFileSync } from 'node:fs';

/**
 * The resident memory of a process in MB (10⁶ bytes), now or at its peak; NaN if it has just ended. Node's `maxRSS` is not the peak:
 * it begins with that of the process that started this one.
 */
export function residentMb(which: 'now' | 'peak', pid: number = process.pid): number {
  const field = { now: 'VmRSS', peak: 'VmHWM' }[which];
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) * 1024) / 1e6; // the kernel's kB are of 1,024 bytes
}
