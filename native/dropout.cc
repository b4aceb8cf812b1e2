// Dropout, alone and on a branch that joins the residual stream.
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "fused.h"

using kernels::Dropout;

namespace {

Tensor applyDropout(const Tensor& input, const Dropout& how) {
  if (hasKernels(input) && isOnGpu(input)) {
    const Tensor x = input.contiguous(), y = at::empty_like(x);
    launchFor(x, [&](auto* element, gpu::Stream stream) {
      using Element = std::remove_pointer_t<decltype(element)>;
      gpu::dropout(dataOf<Element>(x), dataOf<Element>(y), x.numel(), how, stream);
    });
    return y;
  }
  if (!input.is_cpu()) {
    const auto seed = how.seed + static_cast<uint64_t>(how.first) * 0x9E3779B97F4A7C15u;
    const auto generator = at::detail::createCPUGenerator(generatorSeed(seed));
    const auto words = at::empty(input.sizes(), at::kInt).random_(0, 65536, generator);
    return input * (words.to(input.device()) >= static_cast<int64_t>(how.threshold)) * static_cast<double>(how.scale);
  }
  const Tensor x = input.contiguous();
  Tensor y = at::empty_like(x);
  const auto run = [&](auto* element) {
    using Element = std::remove_pointer_t<decltype(element)>;
    const auto* from = dataOf<Element>(x);
    auto* into = dataOf<Element>(y);
    at::parallel_for(0, x.numel(), kGrain,
                     [&](int64_t begin, int64_t end) { kernels::dropout(from + begin, into + begin, begin, end - begin, how); });
  };
  switch (x.scalar_type()) {
    case at::kDouble: run(static_cast<double*>(nullptr)); break;
    case at::kFloat:
    case at::kBFloat16: withElement(x, run); break;
    default: TORCH_CHECK(false, "dropout has no kernel for ", dtypeName(x.scalar_type()));
  }
  return y;
}

// What a Function remembers of dropout between forward and backward.
void keep(AutogradContext* context, const Dropout& how) {
  context->saved_data["threshold"] = static_cast<int64_t>(how.threshold);
  context->saved_data["scale"] = static_cast<double>(how.scale);
  context->saved_data["seed"] = static_cast<int64_t>(how.seed);
  context->saved_data["first"] = how.first;
}
Dropout kept(AutogradContext* context) {
  return {static_cast<uint32_t>(context->saved_data["threshold"].toInt()), static_cast<float>(context->saved_data["scale"].toDouble()),
          static_cast<uint64_t>(context->saved_data["seed"].toInt()), context->saved_data["first"].toInt()};
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Dropout& how) {
    keep(context, how);
    return applyDropout(x, how);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {applyDropout(gradients[0], kept(context)), Tensor()};
  }
};

// x + scale·dropout(branch), the scale being part of `how`.
struct AddDropout : torch::autograd::Function<AddDropout> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& branch, const Dropout& how) {
    keep(context, how);
    context->saved_data["dtype"] = static_cast<int64_t>(branch.scalar_type());
    Tensor y = at::empty_like(x);
    if (isOnGpu(x))
      launchFor(branch, [&](auto* element, gpu::Stream stream) {
        gpu::addDropout(dataOf<float>(x), dataOf<std::remove_pointer_t<decltype(element)>>(branch), dataOf<float>(y), x.numel(), how,
                        stream);
      });
    else
      withElement(branch, [&](auto* element) {
        using Element = std::remove_pointer_t<decltype(element)>;
        const auto* from = dataOf<float>(x);
        const auto* added = dataOf<Element>(branch);
        auto* into = dataOf<float>(y);
        at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
          kernels::addDropout(from + begin, added + begin, into + begin, begin, end - begin, how);
        });
      });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor dy = gradients[0].contiguous();
    const Dropout how = kept(context);
    const auto type = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
    if (how.threshold == 0 && how.scale == 1 && type == dy.scalar_type()) return {gradients[0], dy, Tensor()};
    Tensor dBranch = at::empty(dy.sizes(), dy.options().dtype(type));
    if (isOnGpu(dy))
      launchFor(dBranch, [&](auto* element, gpu::Stream stream) {
        gpu::dropout(dataOf<float>(dy), dataOf<std::remove_pointer_t<decltype(element)>>(dBranch), dy.numel(), how, stream);
      });
    else
      withElement(dBranch, [&](auto* element) {
        auto* into = dataOf<std::remove_pointer_t<decltype(element)>>(dBranch);
        at::parallel_for(0, dy.numel(), kGrain, [&](int64_t begin, int64_t end) {
          kernels::dropout(dataOf<float>(dy) + begin, into + begin, begin, end - begin, how);
        });
      });
    return {gradients[0], dBranch, Tensor()};
  }
};

// The elements of the rows before x, in a tensor that x is a part of.
int64_t elementsBefore(const Tensor& x, int64_t firstRow) { return x.dim() > 0 && x.size(0) > 0 ? firstRow * (x.numel() / x.size(0)) : 0; }

Tensor addDropout(const Tensor& x, const Tensor& branch, double scale, double p, double seed, int64_t firstRow) {
  if (!hasKernels(x) || !hasKernels(branch) || x.scalar_type() != at::kFloat || x.sizes() != branch.sizes())
    return at::add(x, dropout(branch, p, seed, firstRow), scale);
  return AddDropout::apply(x.contiguous(), branch.contiguous(), dropoutOf(p, seed, scale, elementsBefore(x, firstRow)));
}

}  // namespace

Dropout dropoutOf(double p, double seed, double scale, int64_t first) {
  const auto threshold = static_cast<int64_t>(std::llround(p * 65536));
  TORCH_CHECK(threshold >= 0 && threshold < 65536, "p is ", p, ", it must be in [0, 1)");
  return {static_cast<uint32_t>(threshold), static_cast<float>(scale * 65536.0 / (65536.0 - static_cast<double>(threshold))),
          static_cast<uint64_t>(seed), first};
}

Tensor dropout(const Tensor& x, double p, double seed, int64_t firstRow) {
  const Dropout how = dropoutOf(p, seed, 1, elementsBefore(x, firstRow));
  return how.threshold == 0 ? x : DropoutFunction::apply(x, how);
}

void defineDropout(Napi::Object exports) {
  define(exports, "dropout", dropout);
  define(exports, "addDropout", addDropout);
}
