// Turns a C++ function over tensors into a JavaScript one: arguments and results are converted by their type,
// C++ errors become NativeError with the operation's name and the shapes it was given.
#pragma once
#include <ATen/ATen.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "compat.h"
#include "handles.h"
#include "signals.h"

at::ScalarType dtypeFromName(const std::string& name);
const char* dtypeName(at::ScalarType type);
std::string describe(const at::Tensor& tensor);

// at::Device with a default, as std::tuple wants one.
struct Device {
  at::Device device = at::kCPU;
};

struct FreedTensor {
  size_t argument;
};

// libtorch's CPU generator reads the low 32 bits of its seed only; this folds all 53 of ours into them.
inline uint64_t generatorSeed(uint64_t seed) { return (seed ^ (seed >> 32) * 0x9E3779B1u) & 0xFFFFFFFFu; }

// --- JavaScript to C++ ---
template <typename T>
struct From;

template <>
struct From<at::Tensor> {
  static at::Tensor get(const Napi::Value& value, size_t argument) {
    auto& live = Handles::of(value.Env()).live;
    auto found = live.find(static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()));
    if (found == live.end()) throw FreedTensor{argument};
    return found->second;
  }
};
template <>
struct From<Optional<at::Tensor>> {
  static Optional<at::Tensor> get(const Napi::Value& value, size_t argument) {
    if (value.IsUndefined()) return {};
    return From<at::Tensor>::get(value, argument);
  }
};
template <>
struct From<double> {
  static double get(const Napi::Value& value, size_t) { return value.As<Napi::Number>().DoubleValue(); }
};
template <>
struct From<int64_t> {
  static int64_t get(const Napi::Value& value, size_t) { return value.As<Napi::Number>().Int64Value(); }
};
template <>
struct From<bool> {
  static bool get(const Napi::Value& value, size_t) { return value.As<Napi::Boolean>().Value(); }
};
template <>
struct From<std::string> {
  static std::string get(const Napi::Value& value, size_t) { return value.As<Napi::String>().Utf8Value(); }
};
template <>
struct From<at::ScalarType> {
  static at::ScalarType get(const Napi::Value& value, size_t) { return dtypeFromName(value.As<Napi::String>().Utf8Value()); }
};
template <>
struct From<Device> {
  static Device get(const Napi::Value& value, size_t) { return {at::Device(value.As<Napi::String>().Utf8Value())}; }
};
template <typename T>
struct From<std::vector<T>> {
  static std::vector<T> get(const Napi::Value& value, size_t argument) {
    auto array = value.As<Napi::Array>();
    std::vector<T> result;
    result.reserve(array.Length());
    for (uint32_t i = 0; i < array.Length(); i++) {
      Napi::HandleScope scope(value.Env());
      result.push_back(From<T>::get(array[i], argument));
    }
    return result;
  }
};

// --- C++ to JavaScript ---
inline Napi::Value toJs(Napi::Env env, at::Tensor tensor) {
  return Napi::Number::New(env, static_cast<double>(Handles::of(env).add(std::move(tensor))));
}
inline Napi::Value toJs(Napi::Env env, double value) { return Napi::Number::New(env, value); }
inline Napi::Value toJs(Napi::Env env, int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }
inline Napi::Value toJs(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
inline Napi::Value toJs(Napi::Env env, const std::string& value) { return Napi::String::New(env, value); }
template <typename T>
Napi::Value toJs(Napi::Env env, std::vector<T> values) {
  auto array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); i++) array[i] = toJs(env, std::move(values[i]));
  return array;
}

// --- Errors ---
inline std::string shapesOf(const at::Tensor& tensor) { return describe(tensor); }
inline std::string shapesOf(const Optional<at::Tensor>& tensor) { return tensor ? describe(*tensor) : ""; }
inline std::string shapesOf(const std::vector<at::Tensor>& tensors) {
  std::string text;
  for (const auto& tensor : tensors) text += (text.empty() ? "" : ", ") + describe(tensor);
  return text;
}
template <typename T>
std::string shapesOf(const T&) {
  return "";
}
std::string firstLine(const char* message);
Napi::Value nativeError(Napi::Env env, const std::string& message);
[[noreturn]] void throwNativeError(Napi::Env env, const std::string& message);
[[noreturn]] void throwUseAfterFree(Napi::Env env, const std::string& message);

template <typename... Args>
std::string callText(const char* name, const std::tuple<Args...>& args) {
  std::string text;
  std::apply(
      [&](const auto&... arg) {
        for (const std::string& shape : std::vector<std::string>{shapesOf(arg)...})
          if (!shape.empty()) text += (text.empty() ? "" : ", ") + shape;
      },
      args);
  return std::string(name) + "(" + text + ")";
}

template <typename Tuple, size_t... I>
Tuple argumentsOf(const Napi::CallbackInfo& info, std::index_sequence<I...>) {
  return Tuple{From<std::tuple_element_t<I, Tuple>>::get(info[I], I)...};
}

// A JavaScript function `name` on `exports` that calls `function`.
template <typename Result, typename... Args>
void define(Napi::Object exports, const char* name, Result (*function)(Args...)) {
  using Tuple = std::tuple<std::decay_t<Args>...>;
  auto call = [name, function](const Napi::CallbackInfo& info) -> Napi::Value {
    const Napi::Env env = info.Env();
    Tuple args;
    try {
      args = argumentsOf<Tuple>(info, std::index_sequence_for<Args...>{});
    } catch (const FreedTensor& freed) {
      throwUseAfterFree(env, std::string(name) + ": tensor argument " + std::to_string(freed.argument + 1) +
                                 " was freed before this use; return it from its scope to keep it");
    } catch (const c10::Error& error) {
      throwNativeError(env, std::string(name) + ": " + firstLine(error.what_without_backtrace()));
    }
    try {
      const SignalsWait wait;
      if constexpr (std::is_void_v<Result>) {
        std::apply(function, args);
        return env.Undefined();
      } else {
        return toJs(env, std::apply(function, args));
      }
    } catch (const Napi::Error&) {
      throw;
    } catch (const c10::Error& error) {
      throwNativeError(env, callText(name, args) + ": " + firstLine(error.what_without_backtrace()));
    } catch (const std::exception& error) {
      throwNativeError(env, callText(name, args) + ": " + firstLine(error.what()));
    }
  };
  exports[name] = Napi::Function::New(exports.Env(), call, name);
}

// Each file of operations adds its own.
void defineTensors(Napi::Object exports);
void defineDevice(Napi::Object exports);
void defineOps(Napi::Object exports);
void defineAttention(Napi::Object exports);
void defineDropout(Napi::Object exports);
void defineFused(Napi::Object exports);
void defineActivation(Napi::Object exports);
void defineGroup(Napi::Object exports);
void defineNorm(Napi::Object exports);
void defineLinear(Napi::Object exports);
void defineLoss(Napi::Object exports);
void defineRows(Napi::Object exports);
void defineOptimizer(Napi::Object exports);
void defineMuon(Napi::Object exports);
