#include "kernels.h"

#include <cmath>
#include <cstring>

// One build for every x86-64: the best of three versions is chosen when the addon is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERSIONS
#endif

namespace kernels {
namespace {

constexpr int kLanes = 16;  // Philox counters drawn side by side; 8 words of 16 bits each make a chunk

inline __attribute__((always_inline)) void philoxChunk(uint64_t chunk, uint64_t seed, uint16_t* words) {
  uint32_t a[kLanes], b[kLanes], c[kLanes], d[kLanes];
  for (int i = 0; i < kLanes; i++) {
    const uint64_t counter = chunk * kLanes + i;
    a[i] = static_cast<uint32_t>(counter);
    b[i] = static_cast<uint32_t>(counter >> 32);
    c[i] = d[i] = 0;
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < kLanes; i++) {
      const uint64_t p = uint64_t{0xD2511F53u} * a[i], q = uint64_t{0xCD9E8D57u} * c[i];
      a[i] = static_cast<uint32_t>(q >> 32) ^ b[i] ^ k0;
      b[i] = static_cast<uint32_t>(q);
      c[i] = static_cast<uint32_t>(p >> 32) ^ d[i] ^ k1;
      d[i] = static_cast<uint32_t>(p);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < kLanes; i++) {
    words[i] = static_cast<uint16_t>(a[i]);
    words[kLanes + i] = static_cast<uint16_t>(a[i] >> 16);
    words[2 * kLanes + i] = static_cast<uint16_t>(b[i]);
    words[3 * kLanes + i] = static_cast<uint16_t>(b[i] >> 16);
    words[4 * kLanes + i] = static_cast<uint16_t>(c[i]);
    words[5 * kLanes + i] = static_cast<uint16_t>(c[i] >> 16);
    words[6 * kLanes + i] = static_cast<uint16_t>(d[i]);
    words[7 * kLanes + i] = static_cast<uint16_t>(d[i] >> 16);
  }
}

inline float load(float x) { return x; }
inline double load(double x) { return x; }
inline float load(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  std::memcpy(&x, &wide, 4);
  return x;
}
inline void store(float& y, float x) { y = x; }
inline void store(double& y, double x) { y = x; }
inline void store(uint16_t& y, float x) {  // to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  y = static_cast<uint16_t>(isNan ? 0x7fc0u : rounded);
}

template <typename T>
inline __attribute__((always_inline)) void dropoutChunks(const T* x, T* y, int64_t chunk, int64_t count, uint32_t threshold,
                                                         float scale, uint64_t seed) {
  uint16_t words[kDropoutChunk];
  for (int64_t start = 0; start < count; start += kDropoutChunk, chunk++) {
    philoxChunk(static_cast<uint64_t>(chunk), seed, words);
    const int64_t n = count - start < kDropoutChunk ? count - start : kDropoutChunk;
    for (int64_t i = 0; i < n; i++) store(y[start + i], words[i] >= threshold ? load(x[start + i]) * scale : 0);
  }
}

}  // namespace

VERSIONS void dropout(const float* x, float* y, int64_t chunk, int64_t count, uint32_t threshold, float scale, uint64_t seed) {
  dropoutChunks(x, y, chunk, count, threshold, scale, seed);
}
VERSIONS void dropout(const double* x, double* y, int64_t chunk, int64_t count, uint32_t threshold, float scale, uint64_t seed) {
  dropoutChunks(x, y, chunk, count, threshold, scale, seed);
}
VERSIONS void dropout(const uint16_t* x, uint16_t* y, int64_t chunk, int64_t count, uint32_t threshold, float scale,
                      uint64_t seed) {
  dropoutChunks(x, y, chunk, count, threshold, scale, seed);
}

VERSIONS void adamw(float* parameter, const float* gradient, float* moment, float* variance, int64_t count, const AdamW& h) {
  const float decay = 1 - h.learningRate * h.weightDecay;
  const float stepSize = h.learningRate / h.biasCorrection1;
  const float rootCorrection2 = std::sqrt(h.biasCorrection2);
  const float beta1 = h.beta1, beta2 = h.beta2, newShare1 = h.newShare1, newShare2 = h.newShare2;
  const float epsilon = h.epsilon, scale = h.gradientScale;
  for (int64_t i = 0; i < count; i++) {
    const float g = gradient[i] * scale;
    const float m = beta1 * moment[i] + newShare1 * g;
    const float v = beta2 * variance[i] + newShare2 * g * g;
    moment[i] = m;
    variance[i] = v;
    parameter[i] = parameter[i] * decay - stepSize * m / (std::sqrt(v) / rootCorrection2 + epsilon);
  }
}

}  // namespace kernels
