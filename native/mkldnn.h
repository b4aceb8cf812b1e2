// A product by the oneDNN inside a libtorch that is not the system's: exported, and in none of its headers.
#pragma once
#include <ATen/core/Tensor.h>

namespace at {
namespace native {

// c = a·b + beta·c, all matrices of one type. Throws on an x86 processor without AVX-512.
TORCH_API void mkldnn_matmul(const Tensor& a, const Tensor& b, const Tensor& c, float beta, float alpha);

}  // namespace native
}  // namespace at
