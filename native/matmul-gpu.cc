// Products of half precision on a GPU, by cuBLASLt. How it does one is chosen once for each shape: to ask takes longer than to launch.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>
#include <cublasLt.h>

#include <map>

#include "matmul.h"

namespace {

void check(cublasStatus_t status, const char* what) {
  TORCH_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt failed to ", what, " (status ", static_cast<int>(status), ")");
}

cudaDataType_t typeOf(at::ScalarType type) {
  return type == at::kBFloat16 ? CUDA_R_16BF : type == at::kHalf ? CUDA_R_16F : CUDA_R_32F;
}

bool isTransposed(const Matrix& m) { return m.columnStride != 1; }

// The largest power of two, up to 256, that an address is a multiple of.
int64_t alignmentOf(const void* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<int64_t>(bits & (~bits + 1));
}

// cuBLASLt counts by columns. What it sees of a matrix is therefore its transpose, and it is asked for cᵀ = bᵀ·aᵀ.
struct Description {
  cublasLtMatrixLayout_t layout{};
  explicit Description(const Matrix& m) {
    const bool turned = isTransposed(m);
    check(cublasLtMatrixLayoutCreate(&layout, typeOf(m.type), static_cast<uint64_t>(turned ? m.rows : m.columns),
                                     static_cast<uint64_t>(turned ? m.columns : m.rows), turned ? m.columnStride : m.rowStride),
          "describe a matrix");
  }
  Description(const Description&) = delete;
  ~Description() { cublasLtMatrixLayoutDestroy(layout); }
};

constexpr size_t kWorkspaceBytes = 32 << 20;

cublasLtHandle_t handle() {
  static thread_local cublasLtHandle_t handle = [] {
    cublasLtHandle_t made{};
    check(cublasLtCreate(&made), "start");
    return made;
  }();
  return handle;
}

// Never given back: a thread may end after the GPU's memory is gone.
void* workspaceOn(at::Device device) {
  static thread_local auto* rooms = new std::map<int, at::Tensor>;
  at::Tensor& room = (*rooms)[device.index()];
  if (!room.defined()) room = at::empty({static_cast<int64_t>(kWorkspaceBytes)}, at::TensorOptions(at::kByte).device(device));
  return room.data_ptr();
}

// A product of one shape.
struct Plan {
  Description a, b, c;
  cublasLtMatmulDesc_t how{};
  cublasLtMatmulHeuristicResult_t chosen{};
  bool isThere = false;

  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t name, Value value) {
    check(cublasLtMatmulDescSetAttribute(how, name, &value, sizeof value), "describe a product");
  }

  Plan(const Matrix& x, const Matrix& y, const Matrix& z, const void* bias) : a(x), b(y), c(z) {
    check(cublasLtMatmulDescCreate(&how, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, isTransposed(y) ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, isTransposed(x) ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    cublasLtMatmulPreference_t preference{};
    check(cublasLtMatmulPreferenceCreate(&preference), "choose");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value), "choose");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(alignmentOf(y.data)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(alignmentOf(x.data)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(alignmentOf(z.data)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(alignmentOf(z.data)));
    int found = 0;
    const auto status =
        cublasLtMatmulAlgoGetHeuristic(handle(), how, b.layout, a.layout, c.layout, c.layout, preference, 1, &chosen, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    isThere = status == CUBLAS_STATUS_SUCCESS && found > 0;
  }
  Plan(const Plan&) = delete;
  ~Plan() { cublasLtMatmulDescDestroy(how); }
};

Plan& planOf(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate) {
  using Key = std::pair<Shape, std::array<int64_t, 9>>;
  static thread_local auto* plans = new std::map<Key, Plan>;
  const Key key{shapeOf(a, b, c),
                {static_cast<int64_t>(a.type), static_cast<int64_t>(c.type), bias != nullptr, accumulate, a.device.index(),
                 alignmentOf(a.data), alignmentOf(b.data), alignmentOf(c.data), bias ? alignmentOf(bias) : 0}};
  const auto found = plans->find(key);
  if (found != plans->end()) return found->second;
  constexpr size_t most = 1024;
  if (plans->size() >= most) plans->clear();
  return plans->try_emplace(key, a, b, c, bias).first->second;
}

}  // namespace

bool multiplyOnGpu(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate) {
  if (!a.device.is_cuda() || a.type == at::kFloat || a.rows == 0 || a.columns == 0 || c.columns == 0) return false;
  const c10::OptionalDeviceGuard guard(a.device);
  Plan& plan = planOf(a, b, c, bias, accumulate);
  if (!plan.isThere) return false;
  if (bias) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  const float one = 1, into = accumulate ? 1.f : 0.f;
  check(cublasLtMatmul(handle(), plan.how, &one, b.data, plan.b.layout, a.data, plan.a.layout, &into, c.data, plan.c.layout, c.data,
                       plan.c.layout, &plan.chosen.algo, workspaceOn(a.device), kWorkspaceBytes,
                       c10::cuda::getCurrentCUDAStream(a.device.index()).stream()),
        "multiply");
  return true;
}
