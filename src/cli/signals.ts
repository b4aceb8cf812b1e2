/// <reference lib="esnext.disposable" preserve="true" />

/** The exit codes that shells expect from a program ended by a signal. */
export const signalExitCodes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** What a training does at the first signal. */
export const finishing = 'finishing this step; CTRL-C again ends at once';

/**
 * Listens to SIGINT and SIGTERM until disposed: the first one prints `told` and aborts `signal`, with its name as the reason; a second
 * SIGINT exits at once. If the launcher of this process exits, that counts as SIGTERM.
 */
export function watchSignals(told?: string): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const { signal } = controller;
  const listen = (name: 'SIGINT' | 'SIGTERM') => {
    if (signal.aborted && name === 'SIGINT') process.exit(signalExitCodes.SIGINT);
    if (!signal.aborted && told !== undefined) process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}${told}\n`);
    controller.abort(name);
  };
  const launcherGone = () => listen('SIGTERM');
  process.on('SIGINT', listen).on('SIGTERM', listen).on('disconnect', launcherGone);
  return {
    signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', listen).off('SIGTERM', listen).off('disconnect', launcherGone);
    },
  };
}
