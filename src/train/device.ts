import type { Config } from '../config/index.ts';
import type { RankEnvironment } from '../distributed/index.ts';
import { ConfigError } from '../errors/index.ts';
import { checkDevice, type Device, gpus, isCuda } from '../tensor/index.ts';

/**
 * Makes the device of a run ready, before anything is on a GPU: `cuda` is the one of `cuda:N` then, and of the ranks on one
 * machine each has one of its own.
 *
 * @throws ConfigError for a device that is not there, and where there are more ranks than GPUs.
 */
export function prepareDevice(
  { device, tf32 }: Pick<Config['train'], 'device' | 'tf32'>,
  environment: RankEnvironment | undefined,
): void {
  if (isCuda(device) && gpus.count() > 0) {
    const index = environment ? gpuOfRank(device, environment) : Number(device.split(':')[1] ?? 0);
    if (index < gpus.count()) gpus.use(index);
  }
  checkDevice(device);
  if (isCuda(device)) gpus.setTf32(tf32);
}

function gpuOfRank(device: Device, { localRank }: RankEnvironment): number {
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
  return localRank;
}
