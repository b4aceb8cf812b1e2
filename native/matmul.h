// Matrix products over memory that the caller owns: on the CPU by oneDNN where it is linked, and by ATen elsewhere.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>

// Numbers in memory as a matrix: float32 or bfloat16, on a GPU float16 too; transposing and cutting only change how it is read.
struct Matrix {
  void* data;
  at::ScalarType type;
  int64_t rows, columns, rowStride, columnStride;
  at::Device device = at::kCPU;

  Matrix transposed() const { return {data, type, columns, rows, columnStride, rowStride, device}; }
};

// The sizes of a product c = a·b and how its matrices lie in memory: what a library's plan for it depends on, besides types.
using Shape = std::array<int64_t, 9>;
inline Shape shapeOf(const Matrix& a, const Matrix& b, const Matrix& c) {
  return {a.rows,       a.columns,      c.columns,   a.rowStride,   a.columnStride,
          b.rowStride, b.columnStride, c.rowStride, c.columnStride};
}

// A dense two-dimensional tensor, or one of more dimensions as rows of its last one.
Matrix matrixOf(const at::Tensor& tensor);

// The same memory as a tensor.
at::Tensor tensorOf(const Matrix& matrix);

// c = a·b, plus a row `bias` (or null) on each row; with `accumulate`, c += a·b. a and b are of one type, c of that or float32, the
// bias float32 on the CPU and of c's type on a GPU. May be called by several threads at once, and each of them then computes on its own.
void multiply(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias = nullptr, bool accumulate = false);

// The right-hand side of many products, laid out as the library likes it best by the first of them that gains by it. The
// matrix must stay where it is and keep its numbers.
struct Factor {
  Matrix plain;
  std::shared_ptr<struct Layout> layout;
};
void multiply(const Matrix& a, Factor& b, const Matrix& c, const void* bias = nullptr);

#ifdef TAPER_CUDA
// The same on a GPU; false, and nothing done, where that is left to ATen.
bool multiplyOnGpu(const Matrix& a, const Matrix& b, const Matrix& c, const void* bias, bool accumulate);
#endif

// Whether bfloat16 matrices can be multiplied.
bool multipliesBfloat16();

// What `multiply` is made of, for the user to read.
const char* matmulLibrary();
