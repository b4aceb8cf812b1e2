// AdamW in one pass over memory, and the norm of many tensors. On devices without kernels they are made of plain operations.
#include <torch/csrc/autograd/variable.h>

#include <cmath>

#include "fused.h"

namespace {

using Tensors = std::vector<Tensor>;
using Numbers = std::vector<double>;

kernels::AdamW hyperparameters(double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double biasCorrection1,
                               double biasCorrection2, double gradientScale) {
  const auto f = [](double x) { return static_cast<float>(x); };
  return {f(learningRate),  f(beta1),     f(beta2),     f(epsilon),         f(weightDecay),
          f(gradientScale), f(1 - beta1), f(1 - beta2), f(biasCorrection1), f(biasCorrection2)};
}

// One in-place AdamW update of each parameter (Loshchilov and Hutter 2019), as torch.optim.AdamW does it.
void adamw_(const Tensors& parameters, const Tensors& gradients, const Tensors& moments, const Tensors& variances, double learningRate,
            double beta1, double beta2, double epsilon, const Numbers& weightDecay, const Numbers& biasCorrection1,
            const Numbers& biasCorrection2, double gradientScale) {
  at::NoGradGuard guard;
  std::vector<gpu::Update> onGpu;
  Tensors held;  // what the GPU has yet to read
  for (size_t i = 0; i < parameters.size(); i++) {
    const Tensor &parameter = parameters[i], &moment = moments[i], &variance = variances[i], gradient = gradients[i].contiguous();
    for (const Tensor* t : {&parameter, &gradient, &moment, &variance})
      TORCH_CHECK(
          t->scalar_type() == at::kFloat && t->is_contiguous() && t->sizes() == parameter.sizes() && t->device() == parameters[0].device(),
          "parameter, gradient and both moments must be contiguous float32 tensors of one shape, on one device");
    torch::autograd::impl::bump_version(parameter);  // operands made of it are stale
    const auto h =
        hyperparameters(learningRate, beta1, beta2, epsilon, weightDecay[i], biasCorrection1[i], biasCorrection2[i], gradientScale);
    float *p = dataOf<float>(parameter), *m = dataOf<float>(moment), *v = dataOf<float>(variance);
    const float* g = dataOf<float>(gradient);
    if (isOnGpu(parameter)) {
      onGpu.push_back({p, g, m, v, parameter.numel(), h});
      held.push_back(gradient);
    } else if (parameter.is_cpu()) {
      at::parallel_for(0, parameter.numel(), /*grain=*/16384,
                       [&](int64_t begin, int64_t end) { kernels::adamw(p + begin, g + begin, m + begin, v + begin, end - begin, h); });
    } else {
      const auto scaled = gradient * gradientScale;
      moment.mul_(beta1).add_(scaled, 1 - beta1);
      variance.mul_(beta2).addcmul_(scaled, scaled, 1 - beta2);
      parameter.mul_(1 - learningRate * weightDecay[i])
          .addcdiv_(moment, (variance.sqrt() / std::sqrt(biasCorrection2[i])).add_(epsilon), -learningRate / biasCorrection1[i]);
    }
  }
  if (!onGpu.empty()) launchFor(parameters[0], [&](auto*, gpu::Stream stream) { gpu::adamw(onGpu, stream); });
}

// √(Σ ‖x‖²) over all tensors, in float64; on their device, so that nobody waits for it yet.
Tensor globalNorm(const Tensors& tensors) {
  at::NoGradGuard guard;
  if (tensors.empty()) return at::zeros({}, at::kDouble);
  return at::stack(at::_foreach_norm(tensors, 2)).to(at::kDouble).norm();
}

// LAMB's ratio of two norms, or 1 where one is 0.
Tensor trustRatio(const Tensor& weightNorm, const Tensor& stepNorm) {
  at::NoGradGuard guard;
  return at::where(at::logical_and(weightNorm > 0, stepNorm > 0), weightNorm / stepNorm, at::ones_like(weightNorm));
}

}  // namespace

void defineOptimizer(Napi::Object exports) {
  define(exports, "adamw_", adamw_);
  define(exports, "globalNorm", globalNorm);
  define(exports, "trustRatio", trustRatio);
}
