// CPU kernels over plain memory, free of libtorch: each is one short loop that a compiler can vectorise.
// bfloat16 is passed as its bits. A kernel does a part of the work; the caller splits it over threads.
#pragma once
#include <cstdint>

namespace kernels {

// Dropout keeps element i when the i-th 16-bit word of a Philox stream (philox.h) is at least `threshold`, and multiplies
// what it keeps by `scale`. The stream depends on `seed` alone: the backward pass draws the same mask again.
struct Dropout {
  uint32_t threshold;  // threshold / 65,536 is the dropped fraction; 0 keeps everything and draws nothing
  float scale;
  uint64_t seed;
  int64_t first;  // the place of a tensor's first element in the stream
};

// y[i] = dropout(x[i]) for the elements [start, start + count) of a tensor; x and y point to the first of them.
void dropout(const float* x, float* y, int64_t start, int64_t count, Dropout how);
void dropout(const double* x, double* y, int64_t start, int64_t count, Dropout how);
void dropout(const uint16_t* x, uint16_t* y, int64_t start, int64_t count, Dropout how);
void dropout(const float* x, uint16_t* y, int64_t start, int64_t count, Dropout how);

// y[i] = x[i] + dropout(branch[i]), of the same elements.
void addDropout(const float* x, const float* branch, float* y, int64_t start, int64_t count, Dropout how);
void addDropout(const float* x, const uint16_t* branch, float* y, int64_t start, int64_t count, Dropout how);

// y = x·Φ(x), and dx = dy·(Φ(x) + x·φ(x)), Φ and φ being the normal distribution and its density.
void gelu(const float* x, float* y, int64_t count);
void gelu(const uint16_t* x, uint16_t* y, int64_t count);
void geluBackward(const float* x, const float* dy, float* dx, int64_t count);
void geluBackward(const uint16_t* x, const uint16_t* dy, uint16_t* dx, int64_t count);
// The same of GELU's approximation: y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
void geluTanh(const float* x, float* y, int64_t count);
void geluTanh(const uint16_t* x, uint16_t* y, int64_t count);
void geluTanhBackward(const float* x, const float* dy, float* dx, int64_t count);
void geluTanhBackward(const uint16_t* x, const uint16_t* dy, uint16_t* dx, int64_t count);

// Rows of `width`: y = (x − mean)·rstd·weight + bias, with rstd = 1/√(variance + eps); mean and rstd of each row are kept.
void layerNorm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd, int64_t rows, int64_t width,
               float eps);
void layerNorm(const float* x, const float* weight, const float* bias, uint16_t* y, float* mean, float* rstd, int64_t rows, int64_t width,
               float eps);
// dx of the rows, and what they add to dWeight and dBias.
void layerNormBackward(const float* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                       float* dWeight, float* dBias, int64_t rows, int64_t width);
void layerNormBackward(const uint16_t* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                       float* dWeight, float* dBias, int64_t rows, int64_t width);

// One head's attention weights. `scores` is [rows, columns] q·kᵀ, in place; columnBias (or null) is added to each row.
// Forward: p = dropout(softmax(scale·scores + bias)), and of each row the logarithm of the sum, from which
// backward gets the weights again: ds = scale·w·(dw − Σ w·dw) with w the weights and dw = dropout(dp), and p as forward.
// A causal row sees the columns up to its own: the weights of the others are 0. `start` is where the head begins in the
// dropout stream.
struct Attention {
  int64_t rows, columns;
  float scale;
  const float* columnBias;
  bool causal;
  int64_t start;
  Dropout dropout;
};
void attention(float* scores, float* p, float* logSum, const Attention& how);
void attention(float* scores, uint16_t* p, float* logSum, const Attention& how);
void attentionBackward(const float* scores, const float* dp, const float* logSum, float* p, float* ds, const Attention& how);
void attentionBackward(const float* scores, const float* dp, const float* logSum, uint16_t* p, uint16_t* ds, const Attention& how);

// Softmax cross-entropy of one row of logits with the class `target`: returns the loss in nats, and whether the class
// has the largest logit (the first of them, as argmax has it). The others also write the gradient softmax(x) − onehot(target); the float32
// one may do so over x.
struct RowLoss {
  float loss;
  bool hit;
};
RowLoss crossEntropy(const float* x, int64_t classes, int64_t target);
RowLoss crossEntropy(const float* x, float* dx, int64_t classes, int64_t target);
RowLoss crossEntropy(const float* x, uint16_t* dx, int64_t classes, int64_t target);

// y[j] = Σᵢ x[i, j] over `rows` rows that are `stride` apart.
void sumRows(const float* x, float* y, int64_t rows, int64_t columns, int64_t stride);
void sumRows(const uint16_t* x, float* y, int64_t rows, int64_t columns, int64_t stride);

struct AdamW {
  float learningRate, beta1, beta2, epsilon, weightDecay, gradientScale;
  float newShare1, newShare2;              // 1 − β, taken in double: in float 1 − 0.999 is 0.005 % off
  float biasCorrection1, biasCorrection2;  // 1 − βᵗ, or 1 without bias correction
};
void adamw(float* parameter, const float* gradient, float* moment, float* variance, int64_t count, const AdamW& h);

}  // namespace kernels
