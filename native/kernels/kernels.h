// CPU kernels over plain memory, free of libtorch: each is one short loop that a compiler can vectorise.
// bfloat16 is passed as its bits. A kernel does a part of the work; the caller splits it over threads.
#pragma once
#include <cstdint>

namespace kernels {

// Dropout keeps element i when the i-th 16-bit word of a Philox stream (philox.h) is at least `threshold`, and multiplies
// what it keeps by `scale`. The stream depends only on `seed`: the backward pass draws the same mask again.
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
// The same for GELU's approximation: y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
void geluTanh(const float* x, float* y, int64_t count);
void geluTanh(const uint16_t* x, uint16_t* y, int64_t count);
void geluTanhBackward(const float* x, const float* dy, float* dx, int64_t count);
void geluTanhBackward(const uint16_t* x, const uint16_t* dy, uint16_t* dx, int64_t count);

// A gated activation of rows of 2·width: y = f(a)·b with a the first half of a row and b the second, and its gradients.
enum class Activation { gelu, geluTanh, silu };  // silu(x) = x/(1 + e^(−x))
void gated(Activation f, const float* x, float* y, int64_t rows, int64_t width);
void gated(Activation f, const uint16_t* x, uint16_t* y, int64_t rows, int64_t width);
void gatedBackward(Activation f, const float* x, const float* dy, float* dx, int64_t rows, int64_t width);
void gatedBackward(Activation f, const uint16_t* x, const uint16_t* dy, uint16_t* dx, int64_t rows, int64_t width);

// Rows of `width`: y = (x − mean)·rstd·weight + bias, with rstd = 1/√(variance + eps); mean and rstd of each row are kept. Without
// `centers` it is RMSNorm: the mean counts as 0. bias may be null.
struct Norm {
  int64_t rows, width;
  float eps;
  bool centers;
};
void norm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd, const Norm& how);
void norm(const float* x, const float* weight, const float* bias, uint16_t* y, float* mean, float* rstd, const Norm& how);
// dx of the rows, plus `beside` where it is not null, and what the rows add to dWeight and dBias.
void normBackward(const float* dy, const float* x, const float* weight, const float* mean, const float* rstd, const float* beside, float* dx,
                  float* dWeight, float* dBias, const Norm& how);
void normBackward(const uint16_t* dy, const float* x, const float* weight, const float* mean, const float* rstd, const float* beside,
                  float* dx, float* dWeight, float* dBias, const Norm& how);

// Rotary positions: turns the pairs (x[i], x[i + half]) of each row by its position's angles, whose cosines and sines are
// [rows, half]; backwards with `direction` −1 instead of 1. Rows are xStride and yStride apart.
struct Rotation {
  const float *cosines, *sines;
  int64_t rows, half;
  float direction;
};
void rotate(const float* x, int64_t xStride, float* y, int64_t yStride, const Rotation& how);
void rotate(const float* x, int64_t xStride, uint16_t* y, int64_t yStride, const Rotation& how);
void rotate(const uint16_t* x, int64_t xStride, uint16_t* y, int64_t yStride, const Rotation& how);

// Attention weights of one head, for some of its rows (queries) and columns (keys). `scores` is [rows, columns] q·kᵀ, in place.
// Forward: p = dropout(softmax(scale·scores)), and of each row the logarithm of the sum, from which
// backward gets the weights again: ds = scale·w·(dw − Σ w·dw) with w the weights and dw = dropout(dp), and p as forward.
// A row sees the columns from `before` in front of its own position to `after` behind it: the weights of the others are 0. Its
// position is that of column offset + row. Row r, column c is element start + r·stride + c of the dropout stream.
struct Attention {
  int64_t rows, columns, offset, before, after;
  float scale;
  int64_t start, stride;
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
