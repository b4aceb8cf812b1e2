// CPU kernels over plain memory, free of libtorch, so that each is one short loop that a compiler can vectorise.
#pragma once
#include <cstdint>

namespace kernels {

// Dropout keeps element i when the i-th 16-bit word of a Philox4x32-10 stream is at least `threshold`
// (threshold / 65,536 is the dropped fraction), and multiplies what it keeps by `scale`.
// The stream is a function of `seed` alone, so the backward pass draws the same mask again and stores none.
// `chunk` counts runs of kDropoutChunk elements from the start of the tensor; `count` of them are done.
constexpr int64_t kDropoutChunk = 128;
void dropout(const float* x, float* y, int64_t chunk, int64_t count, uint32_t threshold, float scale, uint64_t seed);
void dropout(const double* x, double* y, int64_t chunk, int64_t count, uint32_t threshold, float scale, uint64_t seed);
// bfloat16, as its bits.
void dropout(const uint16_t* x, uint16_t* y, int64_t chunk, int64_t count, uint32_t threshold, float scale, uint64_t seed);

struct AdamW {
  float learningRate, beta1, beta2, epsilon, weightDecay, gradientScale;
  float newShare1, newShare2;  // 1 − β, taken in double: in float 1 − 0.999 is 0.005 % off
  float biasCorrection1, biasCorrection2;  // 1 − βᵗ, or 1 without bias correction
};
void adamw(float* parameter, const float* gradient, float* moment, float* variance, int64_t count, const AdamW& h);

}  // namespace kernels
