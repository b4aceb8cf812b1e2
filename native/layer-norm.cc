// Layer normalisation over the last dimension, in float32, with a result of the dtype that comes next.
#include "fused.h"

namespace {

// The pieces that a GPU goes through the rows in: several for each of its processors. Always as many, so that sums are the same.
constexpr int64_t kGpuPieces = 512;

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                        at::ScalarType type) {
    const int64_t width = x.size(-1), rows = x.numel() / width;
    Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    const Tensor mean = at::empty({rows}, x.options()), rstd = at::empty({rows}, x.options());
    if (isOnGpu(x))
      launchFor(y, [&](auto* element, gpu::Stream stream) {
        gpu::layerNorm(dataOf<float>(x), dataOf<float>(weight), dataOf<float>(bias), dataOf<std::remove_pointer_t<decltype(element)>>(y),
                       dataOf<float>(mean), dataOf<float>(rstd), rows, width, static_cast<float>(eps), stream);
      });
    else
      withElement(y, [&](auto* element) {
        auto* into = dataOf<std::remove_pointer_t<decltype(element)>>(y);
        at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
          kernels::layerNorm(dataOf<float>(x) + begin * width, dataOf<float>(weight), dataOf<float>(bias), into + begin * width,
                             dataOf<float>(mean) + begin, dataOf<float>(rstd) + begin, end - begin, width, static_cast<float>(eps));
        });
      });
    context->save_for_backward({x, weight, mean, rstd});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3], dy = gradients[0].contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const Tensor dx = at::empty_like(x);
    // Each piece of the rows sums the gradients of weight and bias by itself, so the result does not depend on who is first.
    const int64_t pieces = std::min<int64_t>(rows, isOnGpu(x) ? kGpuPieces : at::get_num_threads());
    const Tensor sums = isOnGpu(x) ? at::empty({pieces, 2, width}, x.options()) : at::zeros({pieces, 2, width}, x.options());
    if (isOnGpu(x))
      launchFor(dy, [&](auto* element, gpu::Stream stream) {
        gpu::layerNormBackward(dataOf<std::remove_pointer_t<decltype(element)>>(dy), dataOf<float>(x), dataOf<float>(weight),
                               dataOf<float>(mean), dataOf<float>(rstd), dataOf<float>(dx), dataOf<float>(sums), rows, width, pieces,
                               stream);
      });
    else
      withElement(dy, [&](auto* element) {
        const auto* from = dataOf<std::remove_pointer_t<decltype(element)>>(dy);
        at::parallel_for(0, pieces, 1, [&](int64_t first, int64_t last) {
          for (int64_t piece = first; piece < last; piece++) {
            const int64_t begin = rows * piece / pieces, end = rows * (piece + 1) / pieces;
            float* sum = dataOf<float>(sums) + piece * 2 * width;
            kernels::layerNormBackward(from + begin * width, dataOf<float>(x) + begin * width, dataOf<float>(weight),
                                       dataOf<float>(mean) + begin, dataOf<float>(rstd) + begin, dataOf<float>(dx) + begin * width, sum,
                                       sum + width, end - begin, width);
          }
        });
      });
    const Tensor total = sums.sum(0);
    return {dx, total[0], total[1], Tensor(), Tensor()};
  }
};

Tensor layerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, at::ScalarType type) {
  if (hasKernels(x) && x.scalar_type() == at::kFloat && x.numel() > 0 && weight.scalar_type() == at::kFloat &&
      (type == at::kFloat || type == at::kBFloat16 || (type == at::kHalf && isOnGpu(x))) &&
      (!isOnGpu(x) || x.size(-1) <= gpu::widestNorm)) {
    TORCH_CHECK(weight.dim() == 1 && weight.sizes() == bias.sizes() && weight.size(0) == x.size(-1),
                "weight and bias must have as many elements as the last dimension of the input");
    return LayerNorm::apply(x.contiguous(), weight.contiguous(), bias.contiguous(), eps, type);
  }
  return at::layer_norm(x, weight.sizes(), weight, bias, eps).to(type);
}

}  // namespace

void defineLayerNorm(Napi::Object exports) { define(exports, "layerNorm", layerNorm); }
