// Layer normalisation and RMSNorm over the last dimension, in float32, with a result of the dtype that comes next.
#include "fused.h"

using kernels::Norm;

namespace {

// The pieces that a GPU goes through the rows in: several for each of its processors. Always as many, so that sums are the same.
constexpr int64_t kGpuPieces = 512;

// With `centers` layer normalisation, else RMSNorm; and x itself.
struct NormFunction : torch::autograd::Function<NormFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Optional<Tensor>& bias, double eps,
                        bool centers, at::ScalarType type) {
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const Norm all{rows, width, static_cast<float>(eps), centers};
    Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    const Tensor mean = at::empty({rows}, x.options()), rstd = at::empty({rows}, x.options());
    const float* addend = bias ? dataOf<float>(*bias) : nullptr;
    if (isOnGpu(x))
      launchFor(y, [&](auto* element, gpu::Stream stream) {
        gpu::norm(dataOf<float>(x), dataOf<float>(weight), addend, dataOf<std::remove_pointer_t<decltype(element)>>(y), dataOf<float>(mean),
                  dataOf<float>(rstd), all, stream);
      });
    else
      withElement(y, [&](auto* element) {
        auto* into = dataOf<std::remove_pointer_t<decltype(element)>>(y);
        at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
          kernels::norm(dataOf<float>(x) + begin * width, dataOf<float>(weight), addend, into + begin * width, dataOf<float>(mean) + begin,
                        dataOf<float>(rstd) + begin, {end - begin, width, all.eps, centers});
        });
      });
    context->save_for_backward({x, weight, mean, rstd});
    context->saved_data["hasBias"] = bias.has_value();
    context->saved_data["centers"] = centers;
    context->set_materialize_grads(false);
    return {y, x};
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (!gradients[0].defined()) return {gradients[1], Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3], dy = gradients[0].contiguous(),
                 beside = gradients[1].defined() ? gradients[1].contiguous() : Tensor();
    const float* other = beside.defined() ? dataOf<float>(beside) : nullptr;
    const bool centers = context->saved_data["centers"].toBool();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const Tensor dx = at::empty_like(x);
    // Each piece of the rows sums the gradients of weight and bias by itself, so the result does not depend on who is first.
    const int64_t pieces = std::min<int64_t>(rows, isOnGpu(x) ? kGpuPieces : at::get_num_threads());
    const Tensor sums = isOnGpu(x) ? at::empty({pieces, 2, width}, x.options()) : at::zeros({pieces, 2, width}, x.options());
    if (isOnGpu(x))
      launchFor(dy, [&](auto* element, gpu::Stream stream) {
        gpu::normBackward(dataOf<std::remove_pointer_t<decltype(element)>>(dy), dataOf<float>(x), dataOf<float>(weight),
                          dataOf<float>(mean), dataOf<float>(rstd), other, dataOf<float>(dx), dataOf<float>(sums),
                          {rows, width, 0, centers}, pieces, stream);
      });
    else
      withElement(dy, [&](auto* element) {
        const auto* from = dataOf<std::remove_pointer_t<decltype(element)>>(dy);
        at::parallel_for(0, pieces, 1, [&](int64_t first, int64_t last) {
          for (int64_t piece = first; piece < last; piece++) {
            const int64_t begin = rows * piece / pieces, end = rows * (piece + 1) / pieces;
            float* sum = dataOf<float>(sums) + piece * 2 * width;
            kernels::normBackward(from + begin * width, dataOf<float>(x) + begin * width, dataOf<float>(weight),
                                  dataOf<float>(mean) + begin, dataOf<float>(rstd) + begin, other ? other + begin * width : nullptr,
                                  dataOf<float>(dx) + begin * width, sum, sum + width, {end - begin, width, 0, centers});
          }
        });
      });
    const Tensor total = sums.sum(0);
    return {dx, total[0], context->saved_data["hasBias"].toBool() ? total[1] : Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

bool takesKernel(const Tensor& x, const Tensor& weight, const Optional<Tensor>& bias, at::ScalarType type) {
  if (!hasKernels(x) || x.scalar_type() != at::kFloat || x.numel() == 0 || weight.scalar_type() != at::kFloat) return false;
  if (type != at::kFloat && type != at::kBFloat16 && !(type == at::kHalf && isOnGpu(x))) return false;
  if (isOnGpu(x) && x.size(-1) > gpu::widestNorm) return false;
  TORCH_CHECK(weight.dim() == 1 && weight.size(0) == x.size(-1) && (!bias || bias->sizes() == weight.sizes()),
              "weight and bias must have as many elements as the last dimension of the input");
  return true;
}

// The norm, and x to continue with beside it: backward, the gradients of both are added up on the way.
variable_list layerNormBeside(const Tensor& x, const Tensor& weight, Optional<Tensor> bias, double eps, at::ScalarType type) {
  if (takesKernel(x, weight, bias, type))
    return NormFunction::apply(x.contiguous(), weight.contiguous(), bias ? Optional<Tensor>(bias->contiguous()) : bias, eps, true, type);
  return {at::layer_norm(x, weight.sizes(), weight, bias ? *bias : Tensor(), eps).to(type), x};
}
variable_list rmsNormBeside(const Tensor& x, const Tensor& weight, double eps, at::ScalarType type) {
  if (takesKernel(x, weight, {}, type))
    return NormFunction::apply(x.contiguous(), weight.contiguous(), Optional<Tensor>(), eps, false, type);
  return {(x * (x * x).mean(-1, /*keepdim=*/true).add(eps).rsqrt() * weight).to(type), x};
}

Tensor layerNorm(const Tensor& x, const Tensor& weight, Optional<Tensor> bias, double eps, at::ScalarType type) {
  return layerNormBeside(x, weight, std::move(bias), eps, type)[0];
}
Tensor rmsNorm(const Tensor& x, const Tensor& weight, double eps, at::ScalarType type) { return rmsNormBeside(x, weight, eps, type)[0]; }

}  // namespace

void defineNorm(Napi::Object exports) {
  define(exports, "layerNorm", layerNorm);
  define(exports, "rmsNorm", rmsNorm);
  define(exports, "layerNormBeside", layerNormBeside);
  define(exports, "rmsNormBeside", rmsNormBeside);
}
