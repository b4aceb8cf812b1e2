/**
 * Another rank is gone, does not answer, or has failed: this one stops as well, and nothing is wrong with it. The newest
 * checkpoint is whole; start all ranks again with `--resume`.
 */
export class PeerError extends Error {
  override readonly name = 'PeerError';
}

/** What a rank exits with for a PeerError: start it again (`EX_TEMPFAIL` of sysexits.h). */
export const peerExitCode = 75;
