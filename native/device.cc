// GPUs: which exist, which one this process uses, and their settings.
#include "binding.h"

#include <cstdlib>

#ifdef TAPER_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime.h>

namespace {

int64_t numGpus() { return c10::cuda::device_count(); }
void useGpu(int64_t index) { c10::cuda::set_device(static_cast<c10::DeviceIndex>(index)); }
std::string gpuName() {
  cudaDeviceProp properties;
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, c10::cuda::current_device()));
  return properties.name;
}
double gpuPeakBytes() {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(c10::cuda::current_device());
  return static_cast<double>(stats.allocated_bytes[0].peak);  // of all kinds of blocks together
}
void synchronize() { c10::cuda::device_synchronize(); }

}  // namespace

#else

namespace {

int64_t numGpus() { return 0; }
[[noreturn]] void noGpus() { TORCH_CHECK(false, "the addon was built without CUDA"); }
void useGpu(int64_t) { noGpus(); }
std::string gpuName() { noGpus(); }
double gpuPeakBytes() { noGpus(); }
void synchronize() { noGpus(); }

}  // namespace

#endif

#ifdef TAPER_CUDA
// cuBLAS is deterministic with a workspace of its own, which libtorch gives it. Older versions of libtorch nevertheless refuse to multiply
// unless this variable is set. They look once; later they would parse it, with a regular expression, for every product. So it is set for
// that one look, and removed again.
template <typename Context>
static auto passCublasCheck(const Context& context, int) -> decltype(context.alertCuBLASConfigNotDeterministic()) {
  constexpr auto* name = "CUBLAS_WORKSPACE_CONFIG";
  if (std::getenv(name) != nullptr) return;
  setenv(name, ":4096:8", 1);
  context.alertCuBLASConfigNotDeterministic();
  unsetenv(name);
}
template <typename Context>
static void passCublasCheck(const Context&, long) {}
#endif

// The same numbers from the same step, always: resumed runs are equal bit for bit. Memory is not filled for it: nothing of ours
// reads what it has not written.
static void beDeterministic() {
#ifdef TAPER_CUDA
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  passCublasCheck(at::globalContext(), 0);
#if TAPER_TORCH_AT_LEAST(2, 2)
  at::globalContext().setDeterministicFillUninitializedMemory(false);
#endif
#endif
}

// Whether products of float32 matrices on a GPU may round their factors to TF32's 10 bits.
static void setTf32(bool on) {
  at::globalContext().setAllowTF32CuBLAS(on);
  at::globalContext().setAllowTF32CuDNN(on);
}

void defineDevice(Napi::Object exports) {
  beDeterministic();
  define(exports, "numGpus", numGpus);
  define(exports, "useGpu", useGpu);
  define(exports, "gpuName", gpuName);
  define(exports, "gpuPeakBytes", gpuPeakBytes);
  define(exports, "synchronize", synchronize);
  define(exports, "setTf32", setTf32);
}
