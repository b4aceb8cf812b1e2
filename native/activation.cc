// GELU: exact, x·Φ(x), or its approximation by tanh; and activations that are gated: GeGLU, SwiGLU.
#include "fused.h"

using kernels::Activation;

namespace {

Activation activationOf(const std::string& name) {
  if (name == "gelu") return Activation::gelu;
  if (name == "geluTanh") return Activation::geluTanh;
  TORCH_CHECK(name == "silu", "the activation must be gelu, geluTanh or silu, not ", name);
  return Activation::silu;
}

struct Gelu : torch::autograd::Function<Gelu> {
  static Tensor forward(AutogradContext* context, const Tensor& x, bool tanh) {
    context->save_for_backward({x});
    context->saved_data["tanh"] = tanh;
    Tensor y = at::empty_like(x);
    withElement(x, [&](auto* element) {
      using Element = std::remove_pointer_t<decltype(element)>;
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        const Element* in = dataOf<Element>(x) + begin;
        Element* out = dataOf<Element>(y) + begin;
        tanh ? kernels::geluTanh(in, out, end - begin) : kernels::gelu(in, out, end - begin);
      });
    });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0], dy = gradients[0].contiguous();
    const bool tanh = context->saved_data["tanh"].toBool();
    Tensor dx = at::empty_like(x);
    withElement(x, [&](auto* element) {
      using Element = std::remove_pointer_t<decltype(element)>;
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        const Element *in = dataOf<Element>(x) + begin, *given = dataOf<Element>(dy) + begin;
        Element* out = dataOf<Element>(dx) + begin;
        tanh ? kernels::geluTanhBackward(in, given, out, end - begin) : kernels::geluBackward(in, given, out, end - begin);
      });
    });
    return {dx, Tensor()};
  }
};

Tensor gelu(const Tensor& x, const std::string& approximate) {
  TORCH_CHECK(approximate == "none" || approximate == "tanh", "approximate must be none or tanh, not ", approximate);
  return hasKernels(x) && !isOnGpu(x) ? Gelu::apply(x.contiguous(), approximate == "tanh") : at::gelu(x, approximate);
}

// Rows [.., 2·F] to rows [.., F].
struct Gated : torch::autograd::Function<Gated> {
  static Tensor forward(AutogradContext* context, const Tensor& x, int64_t activation) {
    const auto f = static_cast<Activation>(activation);
    const int64_t width = x.size(-1) / 2, rows = x.numel() / (2 * width);
    context->save_for_backward({x});
    context->saved_data["activation"] = activation;
    auto shape = x.sizes().vec();
    shape.back() = width;
    Tensor y = at::empty(shape, x.options());
    if (isOnGpu(x))
      launchFor(x, [&](auto* element, gpu::Stream stream) {
        using Element = std::remove_pointer_t<decltype(element)>;
        gpu::gated(f, dataOf<Element>(x), dataOf<Element>(y), rows, width, stream);
      });
    else
      withElement(x, [&](auto* element) {
        using Element = std::remove_pointer_t<decltype(element)>;
        at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
          kernels::gated(f, dataOf<Element>(x) + begin * 2 * width, dataOf<Element>(y) + begin * width, end - begin, width);
        });
      });
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0], dy = gradients[0].contiguous();
    const auto f = static_cast<Activation>(context->saved_data["activation"].toInt());
    const int64_t width = x.size(-1) / 2, rows = x.numel() / (2 * width);
    Tensor dx = at::empty_like(x);
    if (isOnGpu(x))
      launchFor(x, [&](auto* element, gpu::Stream stream) {
        using Element = std::remove_pointer_t<decltype(element)>;
        gpu::gatedBackward(f, dataOf<Element>(x), dataOf<Element>(dy), dataOf<Element>(dx), rows, width, stream);
      });
    else
      withElement(x, [&](auto* element) {
        using Element = std::remove_pointer_t<decltype(element)>;
        at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t begin, int64_t end) {
          kernels::gatedBackward(f, dataOf<Element>(x) + begin * 2 * width, dataOf<Element>(dy) + begin * width,
                                 dataOf<Element>(dx) + begin * 2 * width, end - begin, width);
        });
      });
    return {dx, Tensor()};
  }
};

// x [.., 2·F], the two halves a and b side by side: f(a)·b.
Tensor gated(const Tensor& x, const std::string& name) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) % 2 == 0, "the last size of the input must be even");
  const Activation f = activationOf(name);
  if (hasKernels(x) && x.numel() > 0) return Gated::apply(x.contiguous(), static_cast<int64_t>(f));
  const auto halves = x.chunk(2, -1);
  const Tensor a = f == Activation::silu ? at::silu(halves[0]) : at::gelu(halves[0], f == Activation::gelu ? "none" : "tanh");
  return a * halves[1];
}

}  // namespace

void defineActivation(Napi::Object exports) {
  define(exports, "gelu", gelu);
  define(exports, "gated", gated);
}
