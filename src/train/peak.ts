import { type Device, type Dtype, isCuda, noGrad, scope, synchronize, Tensor } from '../tensor/index.ts';

const maxRounds = 10;
/** After so long no further try begins: a processor that does not multiply bfloat16 takes seconds for one. */
const maxSeconds = 0.5;

/**
 * FLOPs a second of the product of two large square matrices, the fastest of some tries: what the model's FLOPs a second are held
 * against as its utilisation (MFU). A busy machine gives too little. A GPU gets larger ones, and several behind each
 * other, so that it is not waited for between them.
 */
export function peakFlops(dtype: Dtype, device: Device, size = isCuda(device) ? 8192 : 1024): number {
  const products = isCuda(device) ? 8 : 1;
  return scope(() =>
    noGrad(() => {
      const x = Tensor.normal([size, size], { std: 0.02, seed: 1, device }).to(dtype);
      if (isCuda(device)) scope(() => x.linear(x)); // cuBLAS makes itself ready with the first
      const seconds: number[] = [];
      const end = performance.now() + 1000 * maxSeconds;
      while (seconds.length === 0 || (seconds.length < maxRounds && performance.now() < end)) {
        synchronize(device);
        const started = performance.now();
        for (let i = 0; i < products; i++) scope(() => x.linear(x));
        synchronize(device);
        seconds.push((performance.now() - started) / 1000);
      }
      return (products * 2 * size ** 3) / Math.min(...seconds);
    }),
  );
}
