// Multi-head attention for sequences short enough that a head's weights stay in the cache: softmax(q·kᵀ/√d + bias)·v,
// causal or not.
// The weights are never stored: the backward pass makes them again from q, k and the logarithms of their sums.
#include <cmath>

#include "fused.h"

namespace {

// Legend: N sequences, T positions, H heads, d head size, D = H·d.
struct Shape {
  int64_t N, T, H, d;

  static Shape of(const Tensor& qkv, int64_t heads) { return {qkv.size(0), qkv.size(1), heads, qkv.size(2) / 3 / heads}; }
  int64_t D() const { return H * d; }
  // The [T, d] matrix of one head in a tensor [N, T, parts·D], in place.
  Matrix head(const Tensor& x, int64_t n, int64_t h, int64_t part = 0) const {
    const int64_t width = x.size(-1), first = n * T * width + part * D() + h * d;
    return {static_cast<char*>(x.data_ptr()) + first * static_cast<int64_t>(x.element_size()), x.scalar_type(), T, d, width, 1};
  }
  // What the kernels are told of one head.
  kernels::Attention how(int64_t n, int64_t h, const Tensor& bias, bool causal, const kernels::Dropout& dropout, int64_t firstRow) const {
    return {T,
            T,
            static_cast<float>(1 / std::sqrt(static_cast<double>(d))),
            bias.defined() ? dataOf<float>(bias) + n * T : nullptr,
            causal,
            ((firstRow + n) * H + h) * T * T,
            dropout};
  }
};

Matrix square(const Tensor& room, int64_t T) { return {room.data_ptr(), room.scalar_type(), T, T, T, 1}; }

struct Attention : torch::autograd::Function<Attention> {
  static Tensor forward(AutogradContext* context, const Tensor& qkv, const Optional<Tensor>& givenBias, bool causal, int64_t heads,
                        double p, double seed, int64_t firstRow) {
    const Tensor bias = givenBias ? givenBias->contiguous() : Tensor();
    const auto s = Shape::of(qkv, heads);
    const auto dropout = dropoutOf(p, seed);
    const auto floats = qkv.options().dtype(at::kFloat);
    Tensor y = at::empty({s.N, s.T, s.D()}, qkv.options());
    const Tensor logSums = at::empty({s.N, s.H, s.T}, floats);
    at::parallel_for(0, s.N * s.H, 1, [&](int64_t begin, int64_t end) {
      const Tensor scores = at::empty({s.T, s.T}, floats), weights = at::empty({s.T, s.T}, qkv.options());
      for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / s.H, h = i % s.H;
        multiply(s.head(qkv, n, h, 0), s.head(qkv, n, h, 1).transposed(), square(scores, s.T));
        withElement(qkv, [&](auto* element) {
          kernels::attention(dataOf<float>(scores), dataOf<std::remove_pointer_t<decltype(element)>>(weights),
                             dataOf<float>(logSums) + i * s.T, s.how(n, h, bias, causal, dropout, firstRow));
        });
        multiply(square(weights, s.T), s.head(qkv, n, h, 2), s.head(y, n, h));
      }
    });
    context->save_for_backward({qkv, bias, logSums});
    context->saved_data["causal"] = causal;
    context->saved_data["heads"] = heads;
    context->saved_data["p"] = p;
    context->saved_data["seed"] = seed;
    context->saved_data["firstRow"] = firstRow;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &bias = saved[1], &logSums = saved[2], dy = gradients[0].contiguous();
    const auto s = Shape::of(qkv, context->saved_data["heads"].toInt());
    const auto dropout = dropoutOf(context->saved_data["p"].toDouble(), context->saved_data["seed"].toDouble());
    const bool causal = context->saved_data["causal"].toBool();
    const int64_t firstRow = context->saved_data["firstRow"].toInt();
    const auto floats = qkv.options().dtype(at::kFloat);
    const Tensor dqkv = at::empty_like(qkv);
    at::parallel_for(0, s.N * s.H, 1, [&](int64_t begin, int64_t end) {
      const Tensor scores = at::empty({s.T, s.T}, floats), dWeights = at::empty({s.T, s.T}, floats);
      const Tensor weights = at::empty({s.T, s.T}, qkv.options()), dScores = at::empty({s.T, s.T}, qkv.options());
      for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / s.H, h = i % s.H;
        const Matrix q = s.head(qkv, n, h, 0), k = s.head(qkv, n, h, 1), v = s.head(qkv, n, h, 2), dHead = s.head(dy, n, h);
        multiply(q, k.transposed(), square(scores, s.T));
        multiply(dHead, v.transposed(), square(dWeights, s.T));
        withElement(qkv, [&](auto* element) {
          using Element = std::remove_pointer_t<decltype(element)>;
          kernels::attentionBackward(dataOf<float>(scores), dataOf<float>(dWeights), dataOf<float>(logSums) + i * s.T,
                                     dataOf<Element>(weights), dataOf<Element>(dScores), s.how(n, h, bias, causal, dropout, firstRow));
        });
        multiply(square(dScores, s.T), k, s.head(dqkv, n, h, 0));
        multiply(square(dScores, s.T).transposed(), q, s.head(dqkv, n, h, 1));
        multiply(square(weights, s.T).transposed(), dHead, s.head(dqkv, n, h, 2));
      }
    });
    return {dqkv, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

#if TAPER_TORCH_AT_LEAST(2, 0)
// libtorch's own for GPUs: flash attention in half precision where there is no bias. Its dropout draws from the device's
// generator, which is told where to begin.
Tensor gpuAttention(const Tensor& qkv, const Optional<Tensor>& bias, bool causal, int64_t heads, double p, double seed, int64_t firstRow) {
  const auto s = Shape::of(qkv, heads);
  const auto parts = qkv.view({s.N, s.T, 3, s.H, s.d}).unbind(2);
  const auto head = [&](size_t part) { return parts[part].transpose(1, 2); };
  if (p > 0) {
    auto generator = at::globalContext().defaultGenerator(qkv.device());
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed) + static_cast<uint64_t>(firstRow) * 0x9E3779B97F4A7C15u);
  }
  auto mask = bias ? Optional<Tensor>(bias->to(qkv.scalar_type())) : Optional<Tensor>();
  if (mask && causal) {  // it takes a mask, or is causal, and not both
    const Tensor later = at::ones({s.T, s.T}, qkv.options().dtype(at::kBool)).triu(1);
    mask = mask->masked_fill(later, -INFINITY);
  }
  const Tensor y = at::scaled_dot_product_attention(head(0), head(1), head(2), mask, p, causal && !mask);
  return y.transpose(1, 2).reshape({s.N, s.T, s.D()});
}
#endif

Tensor plainAttention(const Tensor& qkv, const Optional<Tensor>& bias, bool causal, int64_t heads, double p, double seed,
                      int64_t firstRow) {
  const auto s = Shape::of(qkv, heads);
  const auto parts = qkv.view({s.N, s.T, 3, s.H, s.d}).permute({2, 0, 3, 1, 4});
  Tensor scores = at::matmul(parts[0], parts[1].transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(s.d)));
  if (causal) scores = scores.masked_fill(at::ones({s.T, s.T}, scores.options().dtype(at::kBool)).triu(1), -INFINITY);
  const Tensor weights = at::softmax(bias ? scores + bias->to(scores.scalar_type()) : scores, -1);
  return at::matmul(dropout(weights, p, seed, firstRow), parts[2]).transpose(1, 2).reshape({s.N, s.T, s.D()});
}

// qkv [N, T, 3·D], the queries, keys and values of all heads side by side; bias [N, 1, 1, T] is added to the scores;
// in causal attention a position sees itself and those before it.
Tensor attention(const Tensor& qkv, Optional<Tensor> bias, bool causal, int64_t heads, double p, double seed, int64_t firstRow) {
  TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0, "the input must be [N, T, 3·D] with D a multiple of ", heads,
              " heads");
  TORCH_CHECK(!bias || bias->sizes() == at::IntArrayRef({qkv.size(0), 1, 1, qkv.size(1)}), "the bias must be [N, 1, 1, T]");
#if TAPER_TORCH_AT_LEAST(2, 0)
  if (hasKernels(qkv) && isOnGpu(qkv) && qkv.numel() > 0) return gpuAttention(qkv.contiguous(), bias, causal, heads, p, seed, firstRow);
#endif
  if (hasKernels(qkv) && !isOnGpu(qkv) && qkv.numel() > 0 && (!bias || bias->scalar_type() == at::kFloat))
    return Attention::apply(qkv.contiguous(), bias, causal, heads, p, seed, firstRow);
  return plainAttention(qkv.contiguous(), bias, causal, heads, p, seed, firstRow);
}

}  // namespace

void defineAttention(Napi::Object exports) { define(exports, "attention", attention); }
