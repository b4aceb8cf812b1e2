/// <reference lib="esnext.disposable" preserve="true" />

/** The exit codes that shells expect from a program ended by a signal. */
export const signalExitCodes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/**
 * Listens to SIGINT and SIGTERM until disposed: the first one aborts `signal`, with its name as the reason; a second SIGINT exits at
 * once. If the launcher of this process exits, that counts as SIGTERM.
 */
export function watchSignals(): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const { signal } = controller;
  const listen = (name: 'SIGINT' | 'SIGTERM') => {
    if (signal.aborted && name === 'SIGINT') process.exit(signalExitCodes.SIGINT);
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
