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
    return philoxWords(how_.start + row * how_.stride, how_.columns, how_.dropout.seed, room_.data());
  }

 private:
  const Attention& how_;
  std::vector<uint32_t> room_;
};

// The columns [from, to) that a row sees, among whole vectors [first, last) of columns.
struct Seen {
  int32_t from, to, first, last;
  INLINE Seen(int64_t row, const Attention& how) {
    constexpr int32_t vector = 16;
    const int64_t position = how.offset + row, columns = how.columns, before = position - how.before, after = position + how.after + 1;
    from = static_cast<int32_t>(before > 0 ? before : 0);
    to = static_cast<int32_t>(after < columns ? after : columns);
    first = from / vector * vector;
    const int32_t whole = (to + vector - 1) / vector * vector;
    last = whole < columns ? whole : static_cast<int32_t>(columns);
  }
  // What the softmax is taken of.
  INLINE float scaled(const float* scores, int32_t j, float scale) const { return j >= from && j < to ? scores[j] * scale : -INFINITY; }
};

template <typename T>
INLINE void clear(T* row, int32_t from, int64_t to) {
  for (int64_t j = from; j < to; j++) row[j] = 0;
}

template <typename T>
INLINE void forwardOf(float* scores, T* p, float* logSum, const Attention& how) {
  RowWords rowWords(how);
  const uint32_t threshold = how.dropout.threshold;
  const float scale = how.scale;
  for (int64_t row = 0; row < how.rows; row++, scores += how.columns, p += how.columns) {
    const Seen seen(row, how);
    float top = -INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
    for (int32_t j = seen.first; j < seen.last; j++) {
      const float value = seen.scaled(scores, j, scale);
      top = value > top ? value : top;
    }
#pragma omp simd reduction(+ : sum)
    for (int32_t j = seen.first; j < seen.last; j++) {
      const float e = exponential(seen.scaled(scores, j, scale) - top);
      scores[j] = e;
      sum += e;
    }
    const float factor = how.dropout.scale / sum;
    const uint32_t* words = rowWords.of(row);
    clear(p, 0, seen.first);
    for (int32_t j = seen.first; j < seen.last; j++) store(p[j], words[j] >= threshold ? scores[j] * factor : 0);
    clear(p, seen.last, how.columns);
    logSum[row] = top + std::log(sum);
  }
}

template <typename T>
INLINE void backwardOf(const float* scores, const float* dp, const float* logSum, T* p, T* ds, const Attention& how) {
  RowWords rowWords(how);
  const uint32_t threshold = how.dropout.threshold;
  const float keptScale = how.dropout.scale, scale = how.scale;
  const int64_t columns = how.columns;
  std::vector<float> room(static_cast<size_t>(2 * columns));
  float *w = room.data(), *wdw = w + columns;
  for (int64_t row = 0; row < how.rows; row++, scores += columns, dp += columns, p += columns, ds += columns) {
    const Seen seen(row, how);
    const uint32_t* words = rowWords.of(row);
    const float shift = logSum[row];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int32_t j = seen.first; j < seen.last; j++) {
      w[j] = exponential(seen.scaled(scores, j, scale) - shift);
      const float kept = words[j] >= threshold ? w[j] * keptScale : 0;
      wdw[j] = kept * dp[j];
      sum += wdw[j];
    }
    clear(p, 0, seen.first);
    clear(ds, 0, seen.first);
    for (int32_t j = seen.first; j < seen.last; j++) store(p[j], words[j] >= threshold ? w[j] * keptScale : 0);
    for (int32_t j = seen.first; j < seen.last; j++) store(ds[j], scale * (wdw[j] - w[j] * sum));
    clear(p, seen.last, columns);
    clear(ds, seen.last, columns);
  }
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
