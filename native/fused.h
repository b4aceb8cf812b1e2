// What the fused operations share. Each has a plain version, made of ATen's operations under ATen's autograd, for float64
// and for other devices, and to be compared with; float32 and bfloat16 take the kernels, on the CPU or on a GPU, where float16
// does so too.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "binding.h"
#include "kernels/gpu.h"
#include "kernels/kernels.h"
#include "matmul.h"

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Whether the kernels take a tensor.
bool hasKernels(const Tensor& x);

// Whether those are the GPU's, because x is there.
bool isOnGpu(const Tensor& x);

// Element-wise work is split over threads in pieces of this many elements or more.
constexpr int64_t kGrain = 16384;

// The stream of the device where x is, now.
gpu::Stream streamOf(const Tensor& x);

template <typename Element>
Element* dataOf(const Tensor& x) {
  return static_cast<Element*>(x.data_ptr());
}

// Calls body with a null pointer of the element type that kernels know the tensor's dtype by.
template <typename Body>
void withElement(const Tensor& x, Body body) {
  if (x.scalar_type() == at::kFloat)
    body(static_cast<float*>(nullptr));
  else
    body(static_cast<uint16_t*>(nullptr));
}

// On the GPU where x is: calls body with such a pointer of the GPU's kernels, and the stream to launch them on.
template <typename Body>
void launchFor(const Tensor& x, Body body) {
  const c10::OptionalDeviceGuard guard(x.device());
  const gpu::Stream stream = streamOf(x);
  switch (x.scalar_type()) {
    case at::kBFloat16: return body(static_cast<gpu::Bfloat16*>(nullptr), stream);
    case at::kHalf: return body(static_cast<gpu::Half*>(nullptr), stream);
    default: return body(static_cast<float*>(nullptr), stream);
  }
}

// How dropout with probability p and a seed is done; p is rounded to a multiple of 1/65,536. `scale` is multiplied in. The
// mask is that of a larger tensor with `first` elements before these.
kernels::Dropout dropoutOf(double p, double seed, double scale = 1, int64_t first = 0);

// dropout(x) under autograd, on any device, of float32, bfloat16 and float64.
Tensor dropout(const Tensor& x, double p, double seed, int64_t firstRow);

// A weight W [N, K] and a bias [N], or none, as matrix products want them: cast, several one under the other, and W as both of the
// factors it can be. The bias is of the type that `multiply` takes.
struct Operand : torch::CustomClassHolder {
  Tensor weight, bias;
  int64_t room;  // rows there are, zeros behind those of W: with a multiple of 64, a GPU's products are fast whatever N is
  Factor asIs, transposed;
  Operand(const Tensor& w, const Tensor& b, int64_t rows)
      : weight(w), bias(b), room(rows), asIs{matrixOf(w), {}}, transposed{matrixOf(w).transposed(), {}} {}
  // W and the zeros behind it.
  Matrix whole() const {
    Matrix all = asIs.plain;
    all.rows = room;
    return all;
  }
};
// Kept until a weight or a bias changes, so that the work is done once an optimizer step.
c10::intrusive_ptr<Operand> operandOf(const std::vector<Tensor>& weights, const std::vector<Tensor>& biases, at::ScalarType type);

// The sum of a matrix's rows, in float32.
Tensor sumOfRows(const Matrix& x);
