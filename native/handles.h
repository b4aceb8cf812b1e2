// Tensors live here; JavaScript holds numbers. A number is never used twice, so use after free is always found.
#pragma once
#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <unordered_map>

struct Handles {
  std::unordered_map<uint64_t, at::Tensor> live;
  uint64_t next = 1;  // 0 means "no tensor"
  Napi::FunctionReference nativeError, useAfterFreeError;

  static Handles& of(Napi::Env env) { return *env.GetInstanceData<Handles>(); }

  uint64_t add(at::Tensor tensor) {
    if (!tensor.defined()) return 0;
    live.emplace(next, std::move(tensor));
    return next++;
  }
};
