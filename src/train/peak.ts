import { type Device, type Dtype, noGrad, scope, Tensor } from '../tensor/index.ts';

const size = 1024;
const rounds = 10;

/**
 * FLOPs a second of the matrix product of two [1024, 1024] matrices, the fastest of ten: what the model's FLOPs a second are held
 * against as its utilisation (MFU). A busy machine gives too little.
 */
export function peakFlops(dtype: Dtype, device: Device): number {
  return scope(() =>
    noGrad(() => {
      const x = Tensor.normal([size, size], { std: 0.02, seed: 1, device }).to(dtype);
      const seconds = Array.from({ length: rounds }, () =>
        scope(() => {
          const started = performance.now();
          x.linear(x).narrow(0, 0, 1).narrow(1, 0, 1).item(); // waits for a GPU
          return (performance.now() - started) / 1000;
        }),
      );
      return (2 * size ** 3) / Math.min(...seconds);
    }),
  );
}
