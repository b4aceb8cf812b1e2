#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace kernels {
namespace {

template <typename T>
INLINE void layerNormOf(const float* x, const float* weight, const float* bias, T* y, float* mean, float* rstd, int64_t rows, int64_t width,
                        float eps) {
  for (int64_t row = 0; row < rows; row++, x += width, y += width) {
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < width; i++) sum += x[i];
    const float m = sum / width;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; i++) squares += (x[i] - m) * (x[i] - m);
    const float r = 1 / std::sqrt(squares / width + eps);
    for (int64_t i = 0; i < width; i++) store(y[i], (x[i] - m) * r * weight[i] + bias[i]);
    mean[row] = m;
    rstd[row] = r;
  }
}

// With x̂ = (x − mean)·rstd and g = dy·weight: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)).
template <typename T>
INLINE void layerNormBackwardOf(const T* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                                float* dWeight, float* dBias, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++, x += width, dy += width, dx += width) {
    const float m = mean[row], r = rstd[row];
    float sum = 0, sumX = 0;
#pragma omp simd reduction(+ : sum, sumX)
    for (int64_t i = 0; i < width; i++) {
      const float xHat = (x[i] - m) * r, d = load(dy[i]), g = d * weight[i];
      dWeight[i] += d * xHat;
      dBias[i] += d;
      sum += g;
      sumX += g * xHat;
    }
    const float meanG = sum / width, meanGX = sumX / width;
    for (int64_t i = 0; i < width; i++) dx[i] = r * (load(dy[i]) * weight[i] - meanG - (x[i] - m) * r * meanGX);
  }
}

}  // namespace

VERSIONS void layerNorm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd, int64_t rows,
                        int64_t width, float eps) {
  layerNormOf(x, weight, bias, y, mean, rstd, rows, width, eps);
}
VERSIONS void layerNorm(const float* x, const float* weight, const float* bias, uint16_t* y, float* mean, float* rstd, int64_t rows,
                        int64_t width, float eps) {
  layerNormOf(x, weight, bias, y, mean, rstd, rows, width, eps);
}
VERSIONS void layerNormBackward(const float* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                                float* dWeight, float* dBias, int64_t rows, int64_t width) {
  layerNormBackwardOf(dy, x, weight, mean, rstd, dx, dWeight, dBias, rows, width);
}
VERSIONS void layerNormBackward(const uint16_t* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                                float* dWeight, float* dBias, int64_t rows, int64_t width) {
  layerNormBackwardOf(dy, x, weight, mean, rstd, dx, dWeight, dBias, rows, width);
}

}  // namespace kernels
