import { type Config, ConfigError } from '../config/index.ts';
import type { RankEnvironment } from '../distributed/index.ts';
import { type Device, gpus, isCuda, NativeError, Tensor } from '../tensor/index.ts';

/** Throws a ConfigError for a device that this machine, or its libtorch, does not have. */
export function checkDevice(device: Device): void {
  try {
    Tensor.full([1], 0, { device }).free();
  } catch (cause) {
    if (!(cause instanceof NativeError)) throw cause;
    const seen = isCuda(device) && gpus.count() > 0 ? `${gpus.count()} GPUs are seen, from cuda:0 on; ` : '';
    const message = `device: ${device} is not on this machine, or its libtorch was built without it; ${seen}cpu always works`;
    throw new ConfigError(message, { cause });
  }
}

/**
 * Makes the device of a run ready: of the ranks on one machine each has a GPU of its own.
 *
 * @throws ConfigError for a device that is not there, and where there are more ranks than GPUs.
 */
export function prepareDevice(
  { device, tf32 }: Pick<Config['train'], 'device' | 'tf32'>,
  environment: RankEnvironment | undefined,
): void {
  // Before anything is on a GPU: a tensor of every rank on the first one would take memory there.
  if (isCuda(device) && environment !== undefined && gpus.count() > 0) chooseGpu(device, environment);
  checkDevice(device);
  if (isCuda(device)) gpus.setTf32(tf32);
}

function chooseGpu(device: Device, { localRank }: RankEnvironment): void {
  if (device !== 'cuda') {
    throw new ConfigError(
      `train.device: ${device} on each of several ranks; give cuda: rank N of a machine takes cuda:N`,
    );
  }
  if (localRank >= gpus.count()) {
    throw new ConfigError(
      `train.device: this machine has ${gpus.count()} GPUs and a rank ${localRank + 1} on it; start one for each GPU`,
    );
  }
  gpus.use(localRank);
}
