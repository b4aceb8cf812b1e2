// Muon: steps of momentum whose singular values are all made about 1, by products of matrices alone.
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>

#include "fused.h"

namespace {

using Tensors = std::vector<Tensor>;
using Numbers = std::vector<double>;

// The quintic of a Newton-Schulz step, x ← a·x + b·x³ + c·x⁵ of each singular value (Jordan et al. 2024).
constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
constexpr int kSteps = 5;

// About U·Vᵀ of x = U·S·Vᵀ. With X = c^¼·x and G = X·Xᵀ, or Xᵀ·X where that is smaller, a step is X ← a·X + (b/√c·G + G·G)·X, in which
// no product needs a factor. Factors are of `type`, and what is added up float32.
Tensor orthogonal(const Tensor& x, at::ScalarType type) {
  const bool isTall = x.size(0) > x.size(1);
  const int64_t side = std::min(x.size(0), x.size(1));
  const double scale = std::pow(c, 0.25);
  Tensor X = x.div(x.norm().clamp_min(1e-7)).mul_(scale);
  for (int step = 0; step < kSteps; step++) {
    const Tensor factor = X.to(type), gram = at::empty({side, side}, X.options());
    const Matrix m = matrixOf(factor);
    isTall ? multiply(m.transposed(), m, matrixOf(gram)) : multiply(m, m.transposed(), matrixOf(gram));
    // What is added to a product is of the rounded factors too, or the parts of a step would not be of the same matrix.
    const Tensor square = gram.to(type), sum = square.to(at::kFloat) * (b / std::sqrt(c));
    multiply(matrixOf(square), matrixOf(square), matrixOf(sum), nullptr, /*accumulate=*/true);
    const Tensor polynomial = sum.to(type);
    X = factor.to(at::kFloat) * a;
    isTall ? multiply(m, matrixOf(polynomial), matrixOf(X), nullptr, true) : multiply(matrixOf(polynomial), m, matrixOf(X), nullptr, true);
  }
  return X.mul_(1 / scale);
}

// One in-place Muon update of each parameter, which is `matrices` matrices one under the other, as torch.optim.Muon does it with
// Nesterov's momentum and, where the scale is 0.2, `match_rms_adamw`.
void muon_(const Tensors& parameters, const Tensors& gradients, const Tensors& momenta, const Numbers& matrices, double learningRate,
           double momentum, double scale, const Numbers& weightDecay, double gradientScale, at::ScalarType type) {
  struct Part {
    Tensor parameter, gradient, momentum;
    double weightDecay;
  };
  std::vector<Part> parts;
  for (size_t i = 0; i < parameters.size(); i++) {
    const Tensor& parameter = parameters[i];
    const auto count = static_cast<int64_t>(matrices[i]);
    for (const Tensor* t : {&parameter, &gradients[i], &momenta[i]})
      TORCH_CHECK(t->dim() == 2 && t->scalar_type() == at::kFloat && t->is_contiguous() && t->sizes() == parameter.sizes() &&
                      t->device() == parameters[0].device() && count > 0 && t->size(0) % count == 0,
                  "parameter, gradient and momentum must be contiguous float32 matrices of one shape, on one device, whose rows ", count,
                  " matrices share");
    torch::autograd::impl::bump_version(parameter);  // operands made of it are stale
    const int64_t rows = parameter.size(0) / count;
    for (int64_t j = 0; j < count; j++) {
      const auto part = [&](const Tensor& t) { return t.detach().narrow(0, j * rows, rows); };
      parts.push_back({part(parameter), part(gradients[i]), part(momenta[i]), weightDecay[i]});
    }
  }
  const auto update = [&](int64_t begin, int64_t end) {
    const at::NoGradGuard guard;
    for (int64_t i = begin; i < end; i++) {
      Part& part = parts[static_cast<size_t>(i)];
      const Tensor g = part.gradient * gradientScale;
      part.momentum.lerp_(g, 1 - momentum);
      const Tensor step = orthogonal(g.lerp(part.momentum, momentum), type);
      const double largest = static_cast<double>(std::max(step.size(0), step.size(1)));
      part.parameter.mul_(1 - learningRate * part.weightDecay).add_(step, -learningRate * scale * std::sqrt(largest));
    }
  };
  const auto count = static_cast<int64_t>(parts.size());
  // A matrix for each thread: they are too small to be shared by several.
  if (count > 0 && parameters[0].is_cpu())
    at::parallel_for(0, count, 1, update);
  else
    update(0, count);
}

}  // namespace

void defineMuon(Napi::Object exports) { define(exports, "muon_", muon_); }
