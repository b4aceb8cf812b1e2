#include <cmath>
#include <vector>

#include "kernels.h"
#include "philox.h"

namespace kernels {
namespace {

// Which elements of a row are kept, as words that are compared with the threshold; all of them without dropout.
class RowWords {
 public:
  explicit RowWords(const Attention& how) : how_(how), room_(static_cast<size_t>(how.columns + 2 * kPhiloxChunk), 0xFFFFu) {}
  INLINE const uint32_t* of(int64_t row) {
    if (how_.dropout.threshold == 0) return room_.data();
    return philoxWords(how_.start + row * how_.columns, how_.columns, how_.dropout.seed, room_.data());
  }

 private:
  const Attention& how_;
  std::vector<uint32_t> room_;
};

// What the softmax is taken of, element by element.
template <bool hasBias>
INLINE float scaled(const float* scores, int64_t j, const Attention& how) {
  return hasBias ? scores[j] * how.scale + how.columnBias[j] : scores[j] * how.scale;
}

// How many columns a row sees.
INLINE int64_t seen(int64_t row, const Attention& how) { return how.causal ? row + 1 : how.columns; }

template <typename T>
INLINE void clear(T* row, int64_t from, int64_t to) {
  for (int64_t j = from; j < to; j++) row[j] = 0;
}

template <bool hasBias, typename T>
INLINE void attentionOf(float* scores, T* p, float* logSum, const Attention& how) {
  RowWords rowWords(how);
  const uint32_t threshold = how.dropout.threshold;
  for (int64_t row = 0; row < how.rows; row++, scores += how.columns, p += how.columns) {
    const int64_t n = seen(row, how);
    float top = -INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < n; j++) {
      const float value = scaled<hasBias>(scores, j, how);
      top = value > top ? value : top;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
      const float e = exponential(scaled<hasBias>(scores, j, how) - top);
      scores[j] = e;
      sum += e;
    }
    const float factor = how.dropout.scale / sum;
    const uint32_t* words = rowWords.of(row);
    for (int64_t j = 0; j < n; j++) store(p[j], words[j] >= threshold ? scores[j] * factor : 0);
    clear(p, n, how.columns);
    logSum[row] = top + std::log(sum);
  }
}

template <bool hasBias, typename T>
INLINE void attentionBackwardOf(const float* scores, const float* dp, const float* logSum, T* p, T* ds, const Attention& how) {
  RowWords rowWords(how);
  const uint32_t threshold = how.dropout.threshold;
  const float keptScale = how.dropout.scale;
  const int64_t columns = how.columns;
  std::vector<float> room(static_cast<size_t>(2 * columns));
  float *w = room.data(), *wdw = w + columns;
  for (int64_t row = 0; row < how.rows; row++, scores += columns, dp += columns, p += columns, ds += columns) {
    const int64_t n = seen(row, how);
    const uint32_t* words = rowWords.of(row);
    const float shift = logSum[row];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
      w[j] = exponential(scaled<hasBias>(scores, j, how) - shift);
      const float kept = words[j] >= threshold ? w[j] * keptScale : 0;
      wdw[j] = kept * dp[j];
      sum += wdw[j];
    }
    for (int64_t j = 0; j < n; j++) store(p[j], words[j] >= threshold ? w[j] * keptScale : 0);
    for (int64_t j = 0; j < n; j++) store(ds[j], how.scale * (wdw[j] - w[j] * sum));
    clear(p, n, columns);
    clear(ds, n, columns);
  }
}

template <typename T>
INLINE void forwardOf(float* scores, T* p, float* logSum, const Attention& how) {
  if (how.columnBias)
    attentionOf<true>(scores, p, logSum, how);
  else
    attentionOf<false>(scores, p, logSum, how);
}
template <typename T>
INLINE void backwardOf(const float* scores, const float* dp, const float* logSum, T* p, T* ds, const Attention& how) {
  if (how.columnBias)
    attentionBackwardOf<true>(scores, dp, logSum, p, ds, how);
  else
    attentionBackwardOf<false>(scores, dp, logSum, p, ds, how);
}

}  // namespace

VERSIONS void attention(float* scores, float* p, float* logSum, const Attention& how) { forwardOf(scores, p, logSum, how); }
VERSIONS void attention(float* scores, uint16_t* p, float* logSum, const Attention& how) { forwardOf(scores, p, logSum, how); }
VERSIONS void attentionBackward(const float* scores, const float* dp, const float* logSum, float* p, float* ds, const Attention& how) {
  backwardOf(scores, dp, logSum, p, ds, how);
}
VERSIONS void attentionBackward(const float* scores, const float* dp, const float* logSum, uint16_t* p, uint16_t* ds,
                                const Attention& how) {
  backwardOf(scores, dp, logSum, p, ds, how);
}

}  // namespace kernels
