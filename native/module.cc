// The module: its error classes, its per-environment state, and the names of dtypes.
#include <ATen/Parallel.h>

#include "allocator.h"
#include "binding.h"
#include "matmul.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

struct DtypeEntry {
  const char* name;
  at::ScalarType type;
};
constexpr DtypeEntry dtypes[] = {
    {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}, {"float64", at::kDouble},
    {"int32", at::kInt},     {"int64", at::kLong},        {"uint8", at::kByte},   {"bool", at::kBool},
};

// The two JavaScript classes that errors of this addon are made of.
void useErrorClasses(const Napi::CallbackInfo& info) {
  auto& handles = Handles::of(info.Env());
  handles.nativeError = Napi::Persistent(info[0].As<Napi::Function>());
  handles.useAfterFreeError = Napi::Persistent(info[1].As<Napi::Function>());
}

Napi::Value errorOf(const Napi::FunctionReference& errorClass, const std::string& message) {
  return errorClass.New({Napi::String::New(errorClass.Env(), message)});
}
[[noreturn]] void throwAs(const Napi::FunctionReference& errorClass, const std::string& message) {
  throw Napi::Error(errorClass.Env(), errorOf(errorClass, message));
}

void setNumThreads(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads));
#ifdef _OPENMP
  omp_set_num_threads(static_cast<int>(threads));  // libtorch may have brought an OpenMP of its own
#endif
}
int64_t getNumThreads() { return at::get_num_threads(); }
std::string torchVersion() { return TORCH_VERSION; }
std::string matmulVersion() { return matmulLibrary(); }

}  // namespace

at::ScalarType dtypeFromName(const std::string& name) {
  for (const auto& entry : dtypes)
    if (name == entry.name) return entry.type;
  TORCH_CHECK(false, "unknown dtype ", name);
}

const char* dtypeName(at::ScalarType type) {
  for (const auto& entry : dtypes)
    if (type == entry.type) return entry.name;
  return "other";
}

std::string describe(const at::Tensor& tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); i++) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "] " + dtypeName(tensor.scalar_type());
}

std::string firstLine(const char* message) {
  std::string text(message);
  return text.substr(0, text.find('\n'));
}

Napi::Value nativeError(Napi::Env env, const std::string& message) { return errorOf(Handles::of(env).nativeError, message); }
void throwNativeError(Napi::Env env, const std::string& message) { throwAs(Handles::of(env).nativeError, message); }
void throwUseAfterFree(Napi::Env env, const std::string& message) { throwAs(Handles::of(env).useAfterFreeError, message); }

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  keepMemory();
  // ATen would ask oneDNN for bfloat16 products that oneDNN does not have.
  if (!multipliesBfloat16()) at::globalContext().setUserEnabledMkldnn(false);
  env.SetInstanceData(new Handles());
  exports["useErrorClasses"] = Napi::Function::New(env, useErrorClasses);
  define(exports, "setNumThreads", setNumThreads);
  define(exports, "getNumThreads", getNumThreads);
  define(exports, "torchVersion", torchVersion);
  define(exports, "matmulLibrary", matmulVersion);
  defineTensors(exports);
  defineDevice(exports);
  defineOps(exports);
  defineFused(exports);
  defineLinear(exports);
  defineAttention(exports);
  defineNorm(exports);
  defineActivation(exports);
  defineGroup(exports);
  defineDropout(exports);
  defineLoss(exports);
  defineRows(exports);
  defineOptimizer(exports);
  defineMuon(exports);
  return exports;
}
NODE_API_MODULE(taper, init)
