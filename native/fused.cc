// The fused kernels as operations: dropout under autograd, AdamW. Off the CPU they are made of plain operations.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "binding.h"
#include "kernels.h"

namespace {

using at::Tensor;

Tensor applyDropout(const Tensor& input, uint32_t threshold, uint64_t seed) {
  const double scale = 65536.0 / (65536.0 - threshold);
  if (!input.is_cpu()) {
    const auto words = at::empty(input.sizes(), at::kInt).random_(0, 65536, at::detail::createCPUGenerator(generatorSeed(seed)));
    return input * (words.to(input.device()) >= static_cast<int64_t>(threshold)) * scale;
  }
  const Tensor x = input.contiguous();
  Tensor y = at::empty_like(x);
  const int64_t count = x.numel(), chunks = (count + kernels::kDropoutChunk - 1) / kernels::kDropoutChunk;
  const auto run = [&](auto* from, auto* into) {
    at::parallel_for(0, chunks, /*grain=*/256, [&](int64_t begin, int64_t end) {
      const int64_t start = begin * kernels::kDropoutChunk, stop = std::min(count, end * kernels::kDropoutChunk);
      kernels::dropout(from + start, into + start, begin, stop - start, threshold, static_cast<float>(scale), seed);
    });
  };
  switch (x.scalar_type()) {
    case at::kFloat: run(x.data_ptr<float>(), y.data_ptr<float>()); break;
    case at::kDouble: run(x.data_ptr<double>(), y.data_ptr<double>()); break;
    case at::kBFloat16: run(static_cast<uint16_t*>(x.data_ptr()), static_cast<uint16_t*>(y.data_ptr())); break;
    default: TORCH_CHECK(false, "dropout has no kernel for ", dtypeName(x.scalar_type()));
  }
  return y;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, int64_t threshold, int64_t seed) {
    context->saved_data["threshold"] = threshold;
    context->saved_data["seed"] = seed;
    return applyDropout(x, static_cast<uint32_t>(threshold), static_cast<uint64_t>(seed));
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {applyDropout(gradients[0], static_cast<uint32_t>(context->saved_data["threshold"].toInt()),
                         static_cast<uint64_t>(context->saved_data["seed"].toInt())),
            Tensor(), Tensor()};
  }
};

Tensor dropout(const Tensor& x, double p, double seed) {
  const auto threshold = static_cast<int64_t>(std::llround(p * 65536));
  TORCH_CHECK(threshold >= 0 && threshold < 65536, "p is ", p, ", it must be in [0, 1)");
  return threshold == 0 ? x : Dropout::apply(x, threshold, static_cast<int64_t>(seed));
}

// One AdamW update in place (Loshchilov and Hutter 2019), as torch.optim.AdamW does it.
void adamw_(const Tensor& parameter, const Tensor& anyGradient, const Tensor& moment, const Tensor& variance, double learningRate,
            double beta1, double beta2, double epsilon, double weightDecay, double biasCorrection1, double biasCorrection2,
            double gradientScale) {
  at::NoGradGuard guard;
  const Tensor gradient = anyGradient.contiguous();
  for (const Tensor* t : {&parameter, &gradient, &moment, &variance})
    TORCH_CHECK(t->scalar_type() == at::kFloat && t->is_contiguous() && t->sizes() == parameter.sizes(),
                "parameter, gradient and both moments must be contiguous float32 tensors of one shape");
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

void defineFused(Napi::Object exports) {
  define(exports, "dropout", dropout);
  define(exports, "adamw_", adamw_);
}
