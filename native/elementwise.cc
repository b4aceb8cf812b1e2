// Operations that touch each element once: dropout alone and onto a residual, GELU, layer normalisation.
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "fused.h"

namespace {

bool kernelsOn = true;

// Work is split over threads in pieces of this many elements or more.
constexpr int64_t kGrain = 16384;

using kernels::Dropout;

// --- Dropout ---

Tensor applyDropout(const Tensor& input, const Dropout& how) {
  if (!input.is_cpu()) {
    const auto generator = at::detail::createCPUGenerator(generatorSeed(how.seed));
    const auto words = at::empty(input.sizes(), at::kInt).random_(0, 65536, generator);
    return input * (words.to(input.device()) >= static_cast<int64_t>(how.threshold)) * static_cast<double>(how.scale);
  }
  const Tensor x = input.contiguous();
  Tensor y = at::empty_like(x);
  const auto run = [&](auto* element) {
    using Element = std::remove_pointer_t<decltype(element)>;
    const auto* from = dataOf<Element>(x);
    auto* into = dataOf<Element>(y);
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
      kernels::dropout(from + begin, into + begin, begin, end - begin, how);
    });
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
}
Dropout kept(AutogradContext* context) {
  return {static_cast<uint32_t>(context->saved_data["threshold"].toInt()), static_cast<float>(context->saved_data["scale"].toDouble()),
          static_cast<uint64_t>(context->saved_data["seed"].toInt())};
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

// --- Residual: x + scale·dropout(branch) ---

struct AddDropout : torch::autograd::Function<AddDropout> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& branch, const Dropout& how) {
    keep(context, how);
    context->saved_data["dtype"] = static_cast<int64_t>(branch.scalar_type());
    Tensor y = at::empty_like(x);
    withElement(branch, [&](auto* element) {
      using Element = std::remove_pointer_t<decltype(element)>;
      const auto *from = dataOf<float>(x);
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
    Tensor dBranch = at::empty(dy.sizes(), dy.options().dtype(static_cast<at::ScalarType>(context->saved_data["dtype"].toInt())));
    withElement(dBranch, [&](auto* element) {
      auto* into = dataOf<std::remove_pointer_t<decltype(element)>>(dBranch);
      at::parallel_for(0, dy.numel(), kGrain, [&](int64_t begin, int64_t end) {
        kernels::dropout(dataOf<float>(dy) + begin, into + begin, begin, end - begin, how);
      });
    });
    return {gradients[0], dBranch, Tensor()};
  }
};

Tensor addDropout(const Tensor& x, const Tensor& branch, double scale, double p, double seed) {
  if (!hasKernels(x) || !hasKernels(branch) || x.scalar_type() != at::kFloat || x.sizes() != branch.sizes())
    return at::add(x, dropout(branch, p, seed), scale);
  return AddDropout::apply(x.contiguous(), branch.contiguous(), dropoutOf(p, seed, scale));
}

// --- GELU ---

struct Gelu : torch::autograd::Function<Gelu> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    Tensor y = at::empty_like(x);
    withElement(x, [&](auto* element) {
      using Element = std::remove_pointer_t<decltype(element)>;
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        kernels::gelu(dataOf<Element>(x) + begin, dataOf<Element>(y) + begin, end - begin);
      });
    });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0], dy = gradients[0].contiguous();
    Tensor dx = at::empty_like(x);
    withElement(x, [&](auto* element) {
      using Element = std::remove_pointer_t<decltype(element)>;
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        kernels::geluBackward(dataOf<Element>(x) + begin, dataOf<Element>(dy) + begin, dataOf<Element>(dx) + begin, end - begin);
      });
    });
    return {dx};
  }
};

Tensor gelu(const Tensor& x) { return hasKernels(x) ? Gelu::apply(x.contiguous()) : at::gelu(x); }

// --- Layer normalisation ---

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                        at::ScalarType type) {
    const int64_t width = x.size(-1), rows = x.numel() / width;
    Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    const Tensor mean = at::empty({rows}, x.options()), rstd = at::empty({rows}, x.options());
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
    const int64_t pieces = std::min<int64_t>(rows, at::get_num_threads());
    const Tensor sums = at::zeros({pieces, 2, width}, x.options());
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
      (type == at::kFloat || type == at::kBFloat16)) {
    TORCH_CHECK(weight.dim() == 1 && weight.sizes() == bias.sizes() && weight.size(0) == x.size(-1),
                "weight and bias must have as many elements as the last dimension of the input");
    return LayerNorm::apply(x.contiguous(), weight.contiguous(), bias.contiguous(), eps, type);
  }
  return at::layer_norm(x, weight.sizes(), weight, bias, eps).to(type);
}

}  // namespace

bool hasKernels(const Tensor& x) {
  if (!kernelsOn || !x.is_cpu()) return false;
  static const bool takesBfloat16 = multipliesBfloat16();
  return x.scalar_type() == at::kFloat || (x.scalar_type() == at::kBFloat16 && takesBfloat16);
}

Dropout dropoutOf(double p, double seed, double scale) {
  const auto threshold = static_cast<int64_t>(std::llround(p * 65536));
  TORCH_CHECK(threshold >= 0 && threshold < 65536, "p is ", p, ", it must be in [0, 1)");
  return {static_cast<uint32_t>(threshold), static_cast<float>(scale * 65536.0 / (65536.0 - static_cast<double>(threshold))),
          static_cast<uint64_t>(seed)};
}

Tensor dropout(const Tensor& x, double p, double seed) {
  const Dropout how = dropoutOf(p, seed);
  return how.threshold == 0 ? x : DropoutFunction::apply(x, how);
}

void defineElementwise(Napi::Object exports) {
  define(exports, "dropout", dropout);
  define(exports, "addDropout", addDropout);
  define(exports, "gelu", gelu);
  define(exports, "layerNorm", layerNorm);
  define(exports, "setKernels", +[](bool on) { kernelsOn = on; });
}
