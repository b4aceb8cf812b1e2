// GPU kernels over plain memory, free of libtorch. Each is launched on a stream and returns before it is done; each gives the
// same numbers whenever it runs. Dropout's masks are those of the CPU's kernels.
#pragma once
#include <vector>

#include "kernels.h"

namespace gpu {

using kernels::Activation;
using kernels::AdamW;
using kernels::Dropout;
using kernels::Norm;
using Stream = void*;  // a cudaStream_t; null is the default one

// The bits of these numbers. What is called Element below is one of them or float.
struct Bfloat16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

// y[i] = dropout(x[i]); From and Into are one Element, or From is float.
template <typename From, typename Into>
void dropout(const From* x, Into* y, int64_t count, Dropout how, Stream stream);

// y[i] = x[i] + dropout(branch[i])
template <typename Element>
void addDropout(const float* x, const Element* branch, float* y, int64_t count, Dropout how, Stream stream);

// f(a)·b of rows of 2·width, a and b their halves, and its gradients.
template <typename Element>
void gated(Activation f, const Element* x, Element* y, int64_t rows, int64_t width, Stream stream);
template <typename Element>
void gatedBackward(Activation f, const Element* x, const Element* dy, Element* dx, int64_t rows, int64_t width, Stream stream);

// Layer normalisation or RMSNorm, as kernels::norm has them; bias may be null.
template <typename Element>
void norm(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how, Stream stream);
// dx of the rows, plus `beside` where it is not null, and [pieces, 2, width] partial sums of what they add to dWeight and dBias. Rows may
// be as wide as widestNorm.
constexpr int64_t widestNorm = 8192;
template <typename Element>
void normBackward(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, const float* beside,
                  float* dx, float* sums, Norm how, int64_t pieces, Stream stream);

// Some heads of each token, side by side; `stride` elements from one token to the next.
template <typename Element>
struct Part {
  const Element* x;
  int64_t stride, heads;
};
// The angles whose cosines and sines are row `position` of [.., half a head]; null to turn nothing. A token's position is given,
// or where positions are null its place in a sequence of `length`.
struct Turn {
  const float *cosines, *sines;
  const int32_t* positions;
  int64_t length;
  float direction;  // −1 turns back
};
// Rotary positions: y [tokens, all heads, headSize] has q, k and v side by side, the pairs (i, i + headSize/2) of the heads of q and k turned.
template <typename Element>
void sideBySide(Part<Element> q, Part<Element> k, Part<Element> v, Element* y, int64_t tokens, int64_t headSize, Turn how, Stream stream);

// Softmax cross-entropy of each row of logits x + bias (or no bias: null) with its class: the loss in nats, 1 where the class is
// the first with the largest logit and 0 elsewhere, and unless dx is null the gradient softmax − onehot. dx may be x. Both have
// `stride` elements per row; those of dx behind the classes are zero.
template <typename Element>
void crossEntropy(const float* x, const float* bias, const int64_t* target, Element* dx, float* loss, float* hit, int64_t rows,
                  int64_t classes, int64_t stride, Stream stream);

// y [pieces, columns]: the sums of each of `pieces` parts of the rows, which lie `stride` elements apart.
template <typename Element>
void sumRows(const Element* x, float* y, int64_t rows, int64_t columns, int64_t stride, int64_t pieces, Stream stream);

// Row i of y becomes row index[i] of x; and row index[i] of y becomes row i of x. Rows are of `bytes`.
void takeRows(const void* x, const int64_t* index, void* y, int64_t rows, int64_t bytes, Stream stream);
void putRows(const void* x, const int64_t* index, void* y, int64_t rows, int64_t bytes, Stream stream);

// Many float32 tensors as numbers of another type; `like` says which.
struct Cast {
  const float* from;
  void* into;
  int64_t count;
};
template <typename Element>
void cast(const std::vector<Cast>& casts, const Element* like, Stream stream);

// One update of many tensors, each with numbers of its own.
struct Update {
  float* parameter;
  const float* gradient;
  float* moment;
  float* variance;
  int64_t count;
  AdamW how;
};
void adamw(const std::vector<Update>& updates, Stream stream);

}  // namespace gpu
