// AdamW in one pass over memory. Off the CPU it is made of plain operations.
#include <torch/csrc/autograd/variable.h>

#include <cmath>

#include "fused.h"

namespace {

// One AdamW update in place (Loshchilov and Hutter 2019), as torch.optim.AdamW does it.
void adamw_(const Tensor& parameter, const Tensor& anyGradient, const Tensor& moment, const Tensor& variance, double learningRate,
            double beta1, double beta2, double epsilon, double weightDecay, double biasCorrection1, double biasCorrection2,
            double gradientScale) {
  at::NoGradGuard guard;
  const Tensor gradient = anyGradient.contiguous();
  for (const Tensor* t : {&parameter, &gradient, &moment, &variance})
    TORCH_CHECK(t->scalar_type() == at::kFloat && t->is_contiguous() && t->sizes() == parameter.sizes(),
                "parameter, gradient and both moments must be contiguous float32 tensors of one shape");
  torch::autograd::impl::bump_version(parameter);  // operands made of it are stale
  if (parameter.is_cpu()) {
    const auto f = [](double x) { return static_cast<float>(x); };
    const kernels::AdamW h{f(learningRate),  f(beta1),     f(beta2),     f(epsilon),         f(weightDecay),
                           f(gradientScale), f(1 - beta1), f(1 - beta2), f(biasCorrection1), f(biasCorrection2)};
    float *p = parameter.data_ptr<float>(), *m = moment.data_ptr<float>(), *v = variance.data_ptr<float>();
    const float* g = gradient.data_ptr<float>();
    at::parallel_for(0, parameter.numel(), /*grain=*/16384, [&](int64_t begin, int64_t end) {
      kernels::adamw(p + begin, g + begin, m + begin, v + begin, end - begin, h);
    });
    return;
  }
  const auto g = gradient * gradientScale;
  moment.mul_(beta1).add_(g, 1 - beta1);
  variance.mul_(beta2).addcmul_(g, g, 1 - beta2);
  parameter.mul_(1 - learningRate * weightDecay)
      .addcdiv_(moment, (variance.sqrt() / std::sqrt(biasCorrection2)).add_(epsilon), -learningRate / biasCorrection1);
}

}  // namespace

void defineOptimizer(Napi::Object exports) { define(exports, "adamw_", adamw_); }
