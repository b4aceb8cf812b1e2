// GELU, exact: x·Φ(x).
#include "fused.h"

namespace {

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

}  // namespace

void defineGelu(Napi::Object exports) { define(exports, "gelu", gelu); }
