// Everything that differs between libtorch 1.13 (Debian) and current 2.x stands here.
#pragma once
#include <torch/version.h>

#define TAPER_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if TAPER_TORCH_AT_LEAST(2, 4)
#include <optional>
template <typename T>
using Optional = std::optional<T>;
#else
#include <c10/util/Optional.h>
template <typename T>
using Optional = c10::optional<T>;
#endif
