#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace kernels {
namespace {

INLINE float largest(const float* x, int64_t count) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < count; i++) top = x[i] > top ? x[i] : top;
  return top;
}

// Σ e^(x − top), in blocks so that the sum of many thousands stays exact to rounding.
INLINE float sumOfExponentials(const float* x, int64_t count, float top) {
  double total = 0;
  for (int64_t start = 0; start < count; start += 1024) {
    const int64_t stop = start + 1024 < count ? start + 1024 : count;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = start; i < stop; i++) sum += exponential(x[i] - top);
    total += sum;
  }
  return static_cast<float>(total);
}

// Whether the class is the first of those with the largest logit.
INLINE bool isFirst(const float* x, int64_t target, float top) {
  bool first = x[target] == top;
  for (int64_t i = 0; first && i < target; i++) first = x[i] != top;
  return first;
}

template <typename T>
INLINE RowLoss crossEntropyOf(const float* x, T* dx, int64_t classes, int64_t target) {
  const float top = largest(x, classes), sum = sumOfExponentials(x, classes, top), at = x[target];
  const RowLoss result{top + std::log(sum) - at, isFirst(x, target, top)};
  const float share = 1 / sum;
  for (int64_t i = 0; i < classes; i++) store(dx[i], exponential(x[i] - top) * share);
  store(dx[target], exponential(at - top) * share - 1);
  return result;
}

}  // namespace

VERSIONS RowLoss crossEntropy(const float* x, int64_t classes, int64_t target) {
  const float top = largest(x, classes);
  return {top + std::log(sumOfExponentials(x, classes, top)) - x[target], isFirst(x, target, top)};
}
VERSIONS RowLoss crossEntropy(const float* x, float* dx, int64_t classes, int64_t target) { return crossEntropyOf(x, dx, classes, target); }
VERSIONS RowLoss crossEntropy(const float* x, uint16_t* dx, int64_t classes, int64_t target) {
  return crossEntropyOf(x, dx, classes, target);
}

}  // namespace kernels
