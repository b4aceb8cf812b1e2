#include "kernels.h"
#include "simd.h"

namespace kernels {
namespace {

template <typename From, typename Into>
INLINE void rotateOf(const From* x, int64_t xStride, Into* y, int64_t yStride, const Rotation& how) {
  const int64_t half = how.half;
  const float *c = how.cosines, *s = how.sines;
  for (int64_t row = 0; row < how.rows; row++, x += xStride, y += yStride, c += half, s += half) {
    // Rows lie in different pages, and processors do not look ahead from one page into another.
    for (int64_t i = 0; i < 2 * half; i += 64 / sizeof(From)) __builtin_prefetch(x + 8 * xStride + i);
    for (int64_t i = 0; i < 2 * half; i += 64 / sizeof(Into)) __builtin_prefetch(y + 8 * yStride + i, 1);
#pragma omp simd
    for (int64_t i = 0; i < half; i++) {
      const float first = load(x[i]), second = load(x[half + i]), sine = how.direction * s[i];
      store(y[i], first * c[i] - second * sine);
      store(y[half + i], second * c[i] + first * sine);
    }
  }
}

}  // namespace

VERSIONS void rotate(const float* x, int64_t xStride, float* y, int64_t yStride, const Rotation& how) {
  rotateOf(x, xStride, y, yStride, how);
}
VERSIONS void rotate(const float* x, int64_t xStride, uint16_t* y, int64_t yStride, const Rotation& how) {
  rotateOf(x, xStride, y, yStride, how);
}
VERSIONS void rotate(const uint16_t* x, int64_t xStride, uint16_t* y, int64_t yStride, const Rotation& how) {
  rotateOf(x, xStride, y, yStride, how);
}

}  // namespace kernels
