// GELU: exact, x·Φ(x), or its approximation by tanh.
#include "fused.h"

namespace {

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

}  // namespace

void defineGelu(Napi::Object exports) { define(exports, "gelu", gelu); }
