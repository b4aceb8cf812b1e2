// Tensors in and out of JavaScript, their life, and gradients.
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstring>

#include "binding.h"

namespace {

using at::Tensor;
using Ints = std::vector<int64_t>;

// One copy, from the typed array into memory that libtorch owns.
Napi::Value fromArray(const Napi::CallbackInfo& info) {
  const auto array = info[0].As<Napi::TypedArray>();
  const auto shape = From<Ints>::get(info[1], 1);
  const auto bytes = static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  try {
    const auto dtype = From<at::ScalarType>::get(info[2], 2);
    const auto device = From<Device>::get(info[3], 3).device;
    // To a GPU it goes from memory that stays in place, so that nobody waits for it; libtorch keeps that memory until it has.
    auto tensor = at::empty(shape, at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
    TORCH_CHECK(tensor.nbytes() == array.ByteLength(), "shape ", tensor.sizes(), " of ", dtypeName(dtype), " needs ", tensor.nbytes(),
                " bytes, the array has ", array.ByteLength());
    std::memcpy(tensor.data_ptr(), bytes, array.ByteLength());
    return toJs(info.Env(), tensor.to(device, /*non_blocking=*/device.is_cuda()));
  } catch (const c10::Error& error) {
    throwNativeError(info.Env(), std::string("fromArray: ") + firstLine(error.what_without_backtrace()));
  }
}

// One copy, from the tensor into an ArrayBuffer; bfloat16 and float16 come as their 16 raw bits, bool as bytes.
Napi::Value toArray(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  Tensor tensor;
  try {
    tensor = From<Tensor>::get(info[0], 0).detach().to(at::kCPU).contiguous();
  } catch (const FreedTensor&) {
    throwUseAfterFree(env, "toArray: the tensor was freed before this use; return it from its scope to keep it");
  } catch (const c10::Error& error) {
    throwNativeError(env, std::string("toArray: ") + firstLine(error.what_without_backtrace()));
  }
  const size_t count = static_cast<size_t>(tensor.numel());
  auto buffer = Napi::ArrayBuffer::New(env, tensor.nbytes());
  if (count) std::memcpy(buffer.Data(), tensor.data_ptr(), tensor.nbytes());
  switch (tensor.scalar_type()) {
    case at::kFloat: return Napi::Float32Array::New(env, count, buffer, 0);
    case at::kDouble: return Napi::Float64Array::New(env, count, buffer, 0);
    case at::kInt: return Napi::Int32Array::New(env, count, buffer, 0);
    case at::kLong: return Napi::BigInt64Array::New(env, count, buffer, 0);
    case at::kBFloat16:
    case at::kHalf: return Napi::Uint16Array::New(env, count, buffer, 0);
    default: return Napi::Uint8Array::New(env, count, buffer, 0);
  }
}

// Bytes of a contiguous CPU tensor into memory that JavaScript already has: for writing large tensors piece by piece.
void copyBytes(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto into = info[2].As<Napi::Uint8Array>();
  try {
    const Tensor tensor = From<Tensor>::get(info[0], 0);
    const size_t start = static_cast<size_t>(From<int64_t>::get(info[1], 1));
    TORCH_CHECK(tensor.is_cpu() && tensor.is_contiguous(), "the tensor must be contiguous and on the CPU");
    TORCH_CHECK(start + into.ByteLength() <= tensor.nbytes(), "past the end of ", tensor.nbytes(), " bytes");
    std::memcpy(into.Data(), static_cast<const uint8_t*>(tensor.data_ptr()) + start, into.ByteLength());
  } catch (const FreedTensor&) {
    throwUseAfterFree(env, "copyBytes: the tensor was freed before this use; return it from its scope to keep it");
  } catch (const c10::Error& error) {
    throwNativeError(env, std::string("copyBytes: ") + firstLine(error.what_without_backtrace()));
  }
}

// free takes a list so that a scope ends with one call.
void freeAll(const Napi::CallbackInfo& info) {
  auto& live = Handles::of(info.Env()).live;
  const auto ids = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < ids.Length(); i++) {
    Napi::HandleScope scope(info.Env());
    live.erase(static_cast<uint64_t>(Napi::Value(ids[i]).As<Napi::Number>().DoubleValue()));
  }
}
Napi::Value liveTensors(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Handles::of(info.Env()).live.size()));
}

}  // namespace

void defineTensors(Napi::Object exports) {
  const auto env = exports.Env();
  exports["fromArray"] = Napi::Function::New(env, fromArray);
  exports["toArray"] = Napi::Function::New(env, toArray);
  exports["copyBytes"] = Napi::Function::New(env, copyBytes);
  exports["free"] = Napi::Function::New(env, freeAll);
  exports["liveTensors"] = Napi::Function::New(env, liveTensors);

  const auto op = [&](const char* name, auto function) { define(exports, name, +function); };
  op("full", [](Ints shape, double value, at::ScalarType dtype, Device device) {
    return at::full(shape, value, at::TensorOptions().dtype(dtype).device(device.device));
  });
  // Drawn on the CPU whatever the device, so that one seed gives one model everywhere.
  op("normal", [](Ints shape, double mean, double std, double seed, Device device) {
    const auto generator = at::detail::createCPUGenerator(generatorSeed(static_cast<uint64_t>(seed)));
    return at::empty(shape, at::kFloat).normal_(mean, std, generator).to(device.device);
  });

  op("shape", [](const Tensor& x) { return x.sizes().vec(); });
  op("dtype", [](const Tensor& x) { return std::string(dtypeName(x.scalar_type())); });
  op("device", [](const Tensor& x) { return x.device().str(); });
  op("item", [](const Tensor& x) { return x.item().toDouble(); });
  op("to", [](const Tensor& x, at::ScalarType dtype) { return x.to(dtype); });
  op("toDevice", [](const Tensor& x, Device device) { return x.to(device.device); });
  op("detach", [](const Tensor& x) { return x.detach(); });
  op("clone", [](const Tensor& x) { return x.clone(); });

  // In place and never recorded by autograd: for optimizer state.
  op("copy_", [](const Tensor& x, const Tensor& source) {
    at::NoGradGuard guard;
    x.copy_(source);
  });
  op("add_", [](const Tensor& x, const Tensor& y, double alpha) {
    at::NoGradGuard guard;
    x.add_(y, alpha);
  });
  op("mul_", [](const Tensor& x, double factor) {
    at::NoGradGuard guard;
    x.mul_(factor);
  });

  op("requiresGrad", [](const Tensor& x, bool on) { x.requires_grad_(on); });
  op("setGradEnabled", [](bool on) { at::GradMode::set_enabled(on); });
  op("isGradEnabled", []() { return at::GradMode::is_enabled(); });
  // d(y)/d(leaf)·gradient for each leaf; undefined (0) for a leaf that y does not depend on. A scalar y needs no gradient.
  op("grad", [](const Tensor& y, std::vector<Tensor> leaves, Optional<Tensor> gradient) {
    const auto gradients = gradient ? std::vector<Tensor>{*gradient} : std::vector<Tensor>{};
    return torch::autograd::grad({y}, leaves, gradients, /*retain_graph=*/false, /*create_graph=*/false,
                                 /*allow_unused=*/true);
  });
}
