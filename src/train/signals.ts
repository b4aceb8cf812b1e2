/// <reference lib="esnext.disposable" preserve="true" />
/** A request from outside to stop. */
export interface StopSignal extends Disposable {
  /** The signal that came first, if one came. */
  readonly received: 'SIGINT' | 'SIGTERM' | undefined;
}

/** What a shell expects of a program that a signal ended. */
export const signalExitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Listens to SIGINT and SIGTERM until disposed: the first one asks to stop after the step, a second SIGINT exits at once.
 * When a launcher that started this process is gone, that counts as SIGTERM.
 */
export function watchSignals(): StopSignal {
  let received: StopSignal['received'];
  const listen = (signal: 'SIGINT' | 'SIGTERM') => {
    if (received !== undefined && signal === 'SIGINT') process.exit(signalExitCodes.SIGINT);
    received ??= signal;
  };
  const launcherGone = () => listen('SIGTERM');
  process.on('SIGINT', listen).on('SIGTERM', listen).on('disconnect', launcherGone);
  return {
    get received() {
      return received;
    },
    [Symbol.dispose]: () => {
      process.off('SIGINT', listen).off('SIGTERM', listen).off('disconnect', launcherGone);
    },
  };
}
