import { ConfigError } from '../errors/index.ts';
import { gpus, isCuda, NativeError } from './native.ts';
import { type Device, Tensor } from './tensor.ts';

/**
 * Checks that tensors can be made on a device.
 *
 * @throws ConfigError for a device that this machine, or its libtorch, does not have.
 */
export function checkDevice(device: Device): void {
  try {
    Tensor.full([1], 0, { device }).free();
  } catch (cause) {
    if (!(cause instanceof NativeError)) throw cause;
    const seen = isCuda(device) && gpus.count() > 0 ? `${gpus.count()} GPUs are visible, from cuda:0 on; ` : '';
    const message = `device: ${device} is not available: this machine does not have it, or its libtorch was built without it; ${seen}cpu always works`;
    throw new ConfigError(message, { cause });
  }
}
