/**
 * Another rank is gone, does not answer, or has failed: this rank stops as well, but is not the cause. The newest checkpoint is
 * intact; start all ranks again with `--resume`.
 */
export class PeerError extends Error {
  override readonly name = 'PeerError';
}

/** The exit code of a rank for a PeerError, which means: start it again (`EX_TEMPFAIL` of sysexits.h). */
export const peerExitCode = 75;
