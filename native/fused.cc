// Which tensors the fused operations have kernels for, and where they run.
#include "fused.h"

#ifdef TAPER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

static bool kernelsOn = true;

bool hasKernels(const Tensor& x) {
  if (!kernelsOn) return false;
  const at::ScalarType type = x.scalar_type();
  if (isOnGpu(x)) return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
  static const bool takesBfloat16 = multipliesBfloat16();
  return x.is_cpu() && (type == at::kFloat || (type == at::kBFloat16 && takesBfloat16));
}

#if defined(TAPER_EMULATED_GPU)
bool isOnGpu(const Tensor& x) { return kernelsOn && x.is_cpu(); }
gpu::Stream streamOf(const Tensor&) { return nullptr; }
#elif defined(TAPER_CUDA)
bool isOnGpu(const Tensor& x) { return kernelsOn && x.is_cuda(); }
gpu::Stream streamOf(const Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.device().index()).stream(); }
#else
bool isOnGpu(const Tensor&) { return false; }
gpu::Stream streamOf(const Tensor&) { return nullptr; }
#endif

void defineFused(Napi::Object exports) {
  define(
      exports, "setKernels", +[](bool on) { kernelsOn = on; });
}
