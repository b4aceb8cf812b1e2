// Which tensors the fused operations have kernels for.
#include "fused.h"

static bool kernelsOn = true;

bool hasKernels(const Tensor& x) {
  if (!kernelsOn || !x.is_cpu()) return false;
  static const bool takesBfloat16 = multipliesBfloat16();
  return x.scalar_type() == at::kFloat || (x.scalar_type() == at::kBFloat16 && takesBfloat16);
}

void defineFused(Napi::Object exports) {
  define(exports, "setKernels", +[](bool on) { kernelsOn = on; });
}
