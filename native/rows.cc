// Work on some rows of a tensor while the others stay as they are: the rows are taken out, and what became of them is put
// back. The two go together: the gradient passes once through the rows that stayed, instead of being cleared, scattered
// and added up.
#include <cstring>

#include "fused.h"

namespace {

// Whether whole rows can be copied as bytes.
bool isPlain(const Tensor& x) { return x.is_cpu() && x.is_contiguous() && x.numel() > 0; }

// Copies row i from where `source(i)` points, for all rows of y.
template <typename Source>
void copyRows(const Tensor& y, Source source) {
  const size_t bytes = y.nbytes() / static_cast<size_t>(y.size(0));
  at::parallel_for(0, y.size(0), std::max<int64_t>(1, static_cast<int64_t>(kGrain * sizeof(float) / bytes)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; i++)
                       std::memcpy(static_cast<char*>(y.data_ptr()) + i * bytes, source(i, bytes), bytes);
                   });
}

// Whether the GPU's kernels can copy them.
bool isPlainOnGpu(const Tensor& x, const Tensor& index) {
  return isOnGpu(x) && x.is_contiguous() && x.numel() > 0 && index.numel() > 0 && index.device() == x.device();
}
int64_t bytesOfRow(const Tensor& x) { return static_cast<int64_t>(x.nbytes()) / x.size(0); }

// x [N, ...] in the rows at index [n].
Tensor rowsAt(const Tensor& x, const Tensor& index) {
  const bool onGpu = isPlainOnGpu(x, index);
  if (!onGpu && (!isPlain(x) || index.numel() == 0)) return x.index_select(0, index);
  auto shape = x.sizes().vec();
  shape[0] = index.size(0);
  const Tensor rows = at::empty(shape, x.options());
  if (onGpu) {
    launchFor(x, [&](auto*, gpu::Stream stream) {
      gpu::takeRows(x.data_ptr(), dataOf<int64_t>(index), rows.data_ptr(), index.size(0), bytesOfRow(x), stream);
    });
    return rows;
  }
  const auto* number = dataOf<int64_t>(index);
  copyRows(rows, [&](int64_t i, size_t bytes) { return static_cast<const char*>(x.data_ptr()) + number[i] * bytes; });
  return rows;
}

// x with other rows at index.
Tensor withRows(const Tensor& x, const Tensor& index, const Tensor& rows) {
  if (isPlainOnGpu(x, index) && rows.is_contiguous() && rows.scalar_type() == x.scalar_type()) {
    const Tensor y = x.clone();
    launchFor(x, [&](auto*, gpu::Stream stream) {
      gpu::putRows(rows.data_ptr(), dataOf<int64_t>(index), y.data_ptr(), index.size(0), bytesOfRow(x), stream);
    });
    return y;
  }
  if (!isPlain(x) || !isPlain(rows)) return x.clone().index_copy_(0, index, rows);
  std::vector<int64_t> replacement(static_cast<size_t>(x.size(0)), -1);
  for (int64_t i = 0; i < index.size(0); i++) replacement[static_cast<size_t>(dataOf<int64_t>(index)[i])] = i;
  Tensor y = at::empty_like(x);
  copyRows(y, [&](int64_t i, size_t bytes) {
    const int64_t instead = replacement[static_cast<size_t>(i)];
    return static_cast<const char*>(instead < 0 ? x.data_ptr() : rows.data_ptr()) + (instead < 0 ? i : instead) * bytes;
  });
  return y;
}

struct TakeRows : torch::autograd::Function<TakeRows> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& index) {
    context->save_for_backward({index});
    return {rowsAt(x, index), x};
  }
  // The gradient of what stayed is right but in the rows that were taken.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {withRows(gradients[1], context->get_saved_variables()[0], gradients[0]), Tensor()};
  }
};

struct PutRows : torch::autograd::Function<PutRows> {
  static Tensor forward(AutogradContext* context, const Tensor& rest, const Tensor& index, const Tensor& rows) {
    context->save_for_backward({index});
    return withRows(rest, index, rows);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {gradients[0], Tensor(), rowsAt(gradients[0], context->get_saved_variables()[0])};
  }
};

void checkIndex(const Tensor& x, const Tensor& index) {
  TORCH_CHECK(x.dim() > 0 && index.dim() == 1 && index.scalar_type() == at::kLong, "it wants int64 row numbers [n]");
  // Only on the CPU, where a look at the numbers does not wait for them.
  if (index.is_cpu() && index.numel())
    TORCH_CHECK(index.min().item<int64_t>() >= 0 && index.max().item<int64_t>() < x.size(0), "a row number is not in [0, ", x.size(0), ")");
}

// x [N, ...], index [n]: the rows [n, ...], and x for putRows.
std::vector<Tensor> takeRows(const Tensor& x, const Tensor& index) {
  checkIndex(x, index);
  return TakeRows::apply(x, index.contiguous());
}

Tensor putRows(const Tensor& rest, const Tensor& index, const Tensor& rows) {
  checkIndex(rest, index);
  TORCH_CHECK(rows.dim() == rest.dim() && rows.size(0) == index.size(0) && rows.sizes().slice(1) == rest.sizes().slice(1),
              "the rows must have the shape that they were taken with");
  return PutRows::apply(rest, index.contiguous(), rows);
}

}  // namespace

void defineRows(Napi::Object exports) {
  define(exports, "takeRows", takeRows);
  define(exports, "putRows", putRows);
}
