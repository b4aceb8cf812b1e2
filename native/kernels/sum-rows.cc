#include "kernels.h"
#include "simd.h"

namespace kernels {
namespace {

// In blocks of rows, so that the rounding of a long sum stays small; a strip of columns stays in registers.
template <typename T>
INLINE void sumRowsOf(const T* x, float* y, int64_t rows, int64_t columns, int64_t stride) {
  constexpr int64_t strip = 64, block = 64;
  for (int64_t j0 = 0; j0 < columns; j0 += strip) {
    const int64_t n = columns - j0 < strip ? columns - j0 : strip;
    float total[strip] = {};
    for (int64_t i0 = 0; i0 < rows; i0 += block) {
      float sum[strip] = {};
      const int64_t stop = i0 + block < rows ? i0 + block : rows;
      if (n == strip) {
        for (int64_t i = i0; i < stop; i++)
          for (int64_t j = 0; j < strip; j++) sum[j] += load(x[i * stride + j0 + j]);
      } else {
        for (int64_t i = i0; i < stop; i++)
          for (int64_t j = 0; j < n; j++) sum[j] += load(x[i * stride + j0 + j]);
      }
      for (int64_t j = 0; j < strip; j++) total[j] += sum[j];
    }
    for (int64_t j = 0; j < n; j++) y[j0 + j] = total[j];
  }
}

}  // namespace

VERSIONS void sumRows(const float* x, float* y, int64_t rows, int64_t columns, int64_t stride) { sumRowsOf(x, y, rows, columns, stride); }
VERSIONS void sumRows(const uint16_t* x, float* y, int64_t rows, int64_t columns, int64_t stride) {
  sumRowsOf(x, y, rows, columns, stride);
}

}  // namespace kernels
