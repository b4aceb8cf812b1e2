#include "kernels.h"
#include "philox.h"

namespace kernels {
namespace {

// Calls body(first element, count, words of these elements) a chunk at a time.
template <typename Body>
INLINE void overWords(int64_t start, int64_t count, uint64_t seed, Body body) {
  uint32_t room[3 * kPhiloxChunk];
  for (int64_t at = 0; at < count;) {
    const int64_t left = kPhiloxChunk - (start + at) % kPhiloxChunk;
    const int64_t n = count - at < left ? count - at : left;
    body(at, n, philoxWords(start + at, n, seed, room));
    at += n;
  }
}

template <typename From, typename Into>
INLINE void dropoutOf(const From* x, Into* y, int64_t start, int64_t count, Dropout how) {
  overWords(how.first + start, count, how.seed, [&](int64_t at, int64_t n, const uint32_t* words) {
    for (int64_t i = 0; i < n; i++) {
      const auto scaled = load(x[at + i]) * how.scale;
      store(y[at + i], words[i] >= how.threshold ? scaled : 0);
    }
  });
}

template <typename Branch>
INLINE void addDropoutOf(const float* x, const Branch* branch, float* y, int64_t start, int64_t count, Dropout how) {
  overWords(how.first + start, count, how.seed, [&](int64_t at, int64_t n, const uint32_t* words) {
    for (int64_t i = 0; i < n; i++) {
      const float scaled = load(branch[at + i]) * how.scale;
      y[at + i] = x[at + i] + (words[i] >= how.threshold ? scaled : 0);
    }
  });
}

}  // namespace

VERSIONS void dropout(const float* x, float* y, int64_t start, int64_t count, Dropout how) { dropoutOf(x, y, start, count, how); }
VERSIONS void dropout(const double* x, double* y, int64_t start, int64_t count, Dropout how) { dropoutOf(x, y, start, count, how); }
VERSIONS void dropout(const uint16_t* x, uint16_t* y, int64_t start, int64_t count, Dropout how) { dropoutOf(x, y, start, count, how); }
VERSIONS void dropout(const float* x, uint16_t* y, int64_t start, int64_t count, Dropout how) { dropoutOf(x, y, start, count, how); }

VERSIONS void addDropout(const float* x, const float* branch, float* y, int64_t start, int64_t count, Dropout how) {
  addDropoutOf(x, branch, y, start, count, how);
}
VERSIONS void addDropout(const float* x, const uint16_t* branch, float* y, int64_t start, int64_t count, Dropout how) {
  addDropoutOf(x, branch, y, start, count, how);
}

}  // namespace kernels
