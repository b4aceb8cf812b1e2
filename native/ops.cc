// Operations with PyTorch's names in camelCase and its argument order; autograd records them.
#include "binding.h"

using at::Tensor;
using Ints = std::vector<int64_t>;

void defineOps(Napi::Object exports) {
  const auto op = [&](const char* name, auto function) { define(exports, name, +function); };

  op("add", [](const Tensor& x, const Tensor& y, double alpha) { return at::add(x, y, alpha); });
  op("mul", [](const Tensor& x, const Tensor& y) { return at::mul(x, y); });
  op("div", [](const Tensor& x, const Tensor& y) { return at::div(x, y); });
  op("addScalar", [](const Tensor& x, double y) { return at::add(x, y); });
  op("mulScalar", [](const Tensor& x, double y) { return at::mul(x, y); });
  op("sqrt", [](const Tensor& x) { return at::sqrt(x); });
  op("tanh", [](const Tensor& x) { return at::tanh(x); });
  op("softmax", [](const Tensor& x, int64_t dim) { return at::softmax(x, dim); });
  op("sum", [](const Tensor& x, Ints dims) { return dims.empty() ? at::sum(x) : at::sum(x, dims); });
  op("norm", [](const Tensor& x) { return at::norm(x); });
  op("embedding", [](const Tensor& weight, const Tensor& indices) { return at::embedding(weight, indices); });
  op("crossEntropy", [](const Tensor& logits, const Tensor& target, std::string reduction) {
    const auto how = reduction == "sum" ? at::Reduction::Sum : reduction == "mean" ? at::Reduction::Mean : at::Reduction::None;
    return at::cross_entropy_loss(logits, target, {}, how);
  });
  op("reshape", [](const Tensor& x, Ints shape) { return at::reshape(x, shape); });
  op("transpose", [](const Tensor& x, int64_t dim0, int64_t dim1) { return at::transpose(x, dim0, dim1); });
  op("select", [](const Tensor& x, int64_t dim, int64_t index) { return at::select(x, dim, index); });
  op("narrow", [](const Tensor& x, int64_t dim, int64_t start, int64_t length) { return at::narrow(x, dim, start, length); });
  op("indexSelect", [](const Tensor& x, int64_t dim, const Tensor& index) { return at::index_select(x, dim, index); });
  op("cat", [](std::vector<Tensor> tensors, int64_t dim) { return at::cat(tensors, dim); });
  op("argmax", [](const Tensor& x, int64_t dim) { return at::argmax(x, dim); });
  op("topk", [](const Tensor& x, int64_t k, int64_t dim) {
    auto [values, indices] = at::topk(x, k, dim);
    return std::vector<Tensor>{values, indices};
  });
}
