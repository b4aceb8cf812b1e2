#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace kernels {
namespace {

template <typename T>
INLINE void normOf(const float* x, const float* weight, const float* bias, T* y, float* mean, float* rstd, const Norm& how) {
  const int64_t width = how.width;
  for (int64_t row = 0; row < how.rows; row++, x += width, y += width) {
    float sum = 0, squares = 0;
    if (how.centers) {
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < width; i++) sum += x[i];
    }
    const float m = sum / width;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; i++) squares += (x[i] - m) * (x[i] - m);
    const float r = 1 / std::sqrt(squares / width + how.eps);
    if (bias)
      for (int64_t i = 0; i < width; i++) store(y[i], (x[i] - m) * r * weight[i] + bias[i]);
    else
      for (int64_t i = 0; i < width; i++) store(y[i], (x[i] - m) * r * weight[i]);
    mean[row] = m;
    rstd[row] = r;
  }
}

// With x̂ = (x − mean)·rstd and g = dy·weight: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) where nothing is centred.
template <typename T>
INLINE void normBackwardOf(const T* dy, const float* x, const float* weight, const float* mean, const float* rstd, const float* beside,
                           float* dx, float* dWeight, float* dBias, const Norm& how) {
  const int64_t width = how.width;
  for (int64_t row = 0; row < how.rows; row++, x += width, dy += width, dx += width) {
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
    const float meanG = how.centers ? sum / width : 0, meanGX = sumX / width;
    const auto gradient = [&](int64_t i) { return r * (load(dy[i]) * weight[i] - meanG - (x[i] - m) * r * meanGX); };
    if (beside)
      for (int64_t i = 0; i < width; i++) dx[i] = beside[row * width + i] + gradient(i);
    else
      for (int64_t i = 0; i < width; i++) dx[i] = gradient(i);
  }
}

}  // namespace

VERSIONS void norm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd, const Norm& how) {
  normOf(x, weight, bias, y, mean, rstd, how);
}
VERSIONS void norm(const float* x, const float* weight, const float* bias, uint16_t* y, float* mean, float* rstd, const Norm& how) {
  normOf(x, weight, bias, y, mean, rstd, how);
}
VERSIONS void normBackward(const float* dy, const float* x, const float* weight, const float* mean, const float* rstd,
                           const float* beside, float* dx, float* dWeight, float* dBias, const Norm& how) {
  normBackwardOf(dy, x, weight, mean, rstd, beside, dx, dWeight, dBias, how);
}
VERSIONS void normBackward(const uint16_t* dy, const float* x, const float* weight, const float* mean, const float* rstd,
                           const float* beside, float* dx, float* dWeight, float* dBias, const Norm& how) {
  normBackwardOf(dy, x, weight, mean, rstd, beside, dx, dWeight, dBias, how);
}

}  // namespace kernels
