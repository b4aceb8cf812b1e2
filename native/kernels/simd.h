// What the kernels share: versions for several processors, bfloat16 in and out, and exp as loops that vectorise.
#pragma once
#include <cstdint>
#include <cstring>

// One build for every x86-64: the best of three versions is chosen when the addon is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERSIONS
#endif
#define INLINE inline __attribute__((always_inline))

namespace kernels {

INLINE float load(float x) { return x; }
INLINE double load(double x) { return x; }
INLINE float load(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  std::memcpy(&x, &wide, 4);
  return x;
}

INLINE void store(float& y, float x) { y = x; }
INLINE void store(double& y, double x) { y = x; }
INLINE void store(uint16_t& y, float x) {  // to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  y = static_cast<uint16_t>(isNan ? 0x7fc0u : rounded);
}

// eˣ to 2 units in the last place: 2ⁿ·eʳ with n = round(x / ln 2) and Cephes' polynomial for |r| ≤ ln 2 / 2.
// Below −87.3 it is 0 (there are no denormals), above 88.7 it stays finite.
INLINE float exponential(float x) {
  constexpr float roundingMagic = 12582912.f;  // 1.5·2²³: adding it rounds to a whole number
  const float bounded = x < -87.3f ? -87.3f : x > 88.7f ? 88.7f : x;
  const float n = (bounded * 1.44269504f + roundingMagic) - roundingMagic;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = p * r * r + r + 1;
  const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  const float y = mantissa * power;
  return x < -87.3f ? 0.f : x != x ? x : y;
}

}  // namespace kernels
