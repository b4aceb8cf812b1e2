// The linear layer: x·Wᵀ + b for one weight, or for several side by side.
#include <unordered_map>

#include "fused.h"

namespace {

// An operand, and the weights and biases that it was made of as they were then.
struct Entry {
  struct Source {
    c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl> tensor;
    int64_t version;
  };
  std::vector<Source> weights, biases;
  c10::intrusive_ptr<Operand> operand;

  static std::vector<Source> sourcesOf(const std::vector<Tensor>& tensors) {
    std::vector<Source> sources;
    for (const Tensor& tensor : tensors)
      sources.push_back({decltype(Source::tensor)(tensor.getIntrusivePtr()), static_cast<int64_t>(tensor._version())});
    return sources;
  }
  static bool areThose(const std::vector<Source>& sources, const std::vector<Tensor>& tensors) {
    if (sources.size() != tensors.size()) return false;
    for (size_t i = 0; i < tensors.size(); i++)
      if (sources[i].tensor.lock().get() != tensors[i].unsafeGetTensorImpl() || sources[i].version != tensors[i]._version()) return false;
    return true;
  }
  bool isOf(const std::vector<Tensor>& w, const std::vector<Tensor>& b, at::ScalarType type) const {
    return operand->weight.scalar_type() == type && areThose(weights, w) && areThose(biases, b);
  }
  bool isOrphan() const { return weights[0].tensor.expired(); }

  // The tensors that this was made of; fewer where some are gone.
  static std::vector<Tensor> alive(const std::vector<Source>& sources) {
    std::vector<Tensor> tensors;
    for (const Source& source : sources)
      if (auto tensor = source.tensor.lock()) tensors.emplace_back(std::move(tensor));
    return tensors;
  }
};
using Entries = std::unordered_map<const c10::TensorImpl*, Entry>;

// Tensors one under the other, cast, in memory with room for `room` rows, the last of them zeros; the tensor itself where there is
// nothing to do.
Tensor joined(const std::vector<Tensor>& tensors, at::ScalarType type, int64_t room) {
  int64_t rows = 0;
  for (const Tensor& tensor : tensors) rows += tensor.size(0);
  if (tensors.size() == 1 && tensors[0].scalar_type() == type && room <= rows) return tensors[0].detach().contiguous();
  auto shape = tensors[0].sizes().vec();
  shape[0] = std::max(rows, room);
  const Tensor all = at::empty(shape, tensors[0].options().dtype(type).requires_grad(false));
  int64_t row = 0;
  for (const Tensor& tensor : tensors) {
    all.narrow(0, row, tensor.size(0)).copy_(tensor);
    row += tensor.size(0);
  }
  if (room > rows) all.narrow(0, rows, room - rows).zero_();
  return all.narrow(0, 0, rows);
}

c10::intrusive_ptr<Operand> makeOperand(const std::vector<Tensor>& weights, const std::vector<Tensor>& biases, at::ScalarType type) {
  const at::NoGradGuard guard;
  const bool onGpu = isOnGpu(weights[0]);
  int64_t rows = 0;
  for (const Tensor& weight : weights) rows += weight.size(0);
  const int64_t room = onGpu && type != at::kFloat ? (rows + 63) / 64 * 64 : rows;
  return c10::make_intrusive<Operand>(joined(weights, type, room),
                                      biases.empty() ? Tensor() : joined(biases, weights[0].is_cpu() ? at::kFloat : type, 0), room);
}

// [M, N] gradients of x·W: those of each weight and bias, as views of one product.
variable_list splitRows(const Tensor& whole, const std::vector<int64_t>& sizes) {
  variable_list parts;
  int64_t row = 0;
  for (const int64_t size : sizes) {
    parts.push_back(sizes.size() == 1 ? whole : whole.narrow(0, row, size));
    row += size;
  }
  return parts;
}

struct Linear : torch::autograd::Function<Linear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, at::TensorList weights, at::TensorList biases) {
    const auto operand = operandOf(weights.vec(), biases.vec(), x.scalar_type());
    auto shape = x.sizes().vec();
    shape.back() = operand->weight.size(0);
    Tensor y = at::empty(shape, x.options());
    multiply(matrixOf(x), operand->transposed, matrixOf(y), operand->bias.defined() ? operand->bias.data_ptr() : nullptr);
    variable_list saved = weights.vec();  // so that a weight that is changed before the backward pass is noticed
    saved.push_back(x);
    context->save_for_backward(std::move(saved));
    context->saved_data["operand"] = c10::IValue::make_capsule(operand);
    std::vector<int64_t> sizes;
    for (const Tensor& part : weights) sizes.push_back(part.size(0));
    context->saved_data["sizes"] = sizes;
    context->saved_data["hasBias"] = !biases.empty();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor x = context->get_saved_variables().back(), dy = gradients[0].contiguous();
    const auto operand = c10::static_intrusive_pointer_cast<Operand>(context->saved_data["operand"].toCapsule());
    const auto sizes = context->saved_data["sizes"].toIntVector();
    const Matrix dyMatrix = matrixOf(dy);
    Tensor dx;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      multiply(dyMatrix, operand->asIs, matrixOf(dx));
    }
    const auto floats = x.options().dtype(at::kFloat);
    const Tensor dWeight = at::empty(operand->weight.sizes(), floats);
    multiply(dyMatrix.transposed(), matrixOf(x), matrixOf(dWeight));
    variable_list result{dx};
    for (Tensor& part : splitRows(dWeight, sizes)) result.push_back(std::move(part));
    if (context->saved_data["hasBias"].toBool())
      for (Tensor& part : splitRows(sumOfRows(dyMatrix), sizes)) result.push_back(std::move(part));
    return result;
  }
};

Tensor linear(const Tensor& x, std::vector<Tensor> weights, std::vector<Tensor> biases) {
  bool takesKernels = hasKernels(x) && x.numel() > 0 && x.dim() > 0;
  for (const auto* list : {&weights, &biases})
    for (const Tensor& t : *list) takesKernels = takesKernels && t.scalar_type() == at::kFloat && t.device() == x.device();
  for (size_t i = 0; i < weights.size(); i++) {
    TORCH_CHECK(weights[i].dim() == 2 && x.dim() > 0 && weights[i].size(1) == x.size(-1),
                "a weight's second size must be the last of the input");
    TORCH_CHECK(biases.empty() || (biases.size() == weights.size() && biases[i].dim() == 1 && biases[i].size(0) == weights[i].size(0)),
                "a bias must be as long as its weight's first size");
  }
  if (takesKernels) return Linear::apply(x.contiguous(), at::TensorList(weights), at::TensorList(biases));
  const auto together = [&](const std::vector<Tensor>& parts) {
    return (parts.size() == 1 ? parts[0] : at::cat(parts)).to(x.scalar_type());
  };
  return biases.empty() ? at::linear(x, together(weights)) : at::linear(x, together(weights), together(biases));
}

// After an optimizer step all operands are stale. On a GPU those in half precision are made anew in place, all by one kernel, unless
// somebody holds them still.
void renewAll(Entries& entries, at::ScalarType type, at::Device device) {
  std::vector<gpu::Cast> casts;
  for (auto& [key, entry] : entries) {
    Operand& operand = *entry.operand;
    const auto weights = Entry::alive(entry.weights), biases = Entry::alive(entry.biases);
    if (operand.weight.scalar_type() != type || operand.weight.device() != device || entry.operand.use_count() > 1) continue;
    if (weights.size() != entry.weights.size() || biases.size() != entry.biases.size() || entry.isOf(weights, biases, type)) continue;
    const auto add = [&](const std::vector<Tensor>& from, const Tensor& into) {
      auto* target = static_cast<uint8_t*>(into.data_ptr());
      for (const Tensor& tensor : from) {
        casts.push_back({dataOf<float>(tensor), target, tensor.numel()});
        target += tensor.numel() * static_cast<int64_t>(into.element_size());
      }
    };
    const auto areContiguous = [](const std::vector<Tensor>& all) {
      return std::all_of(all.begin(), all.end(), [](const Tensor& tensor) { return tensor.is_contiguous(); });
    };
    if (!areContiguous(weights) || !areContiguous(biases)) continue;
    add(weights, operand.weight);
    if (!biases.empty()) {
      if (operand.bias.scalar_type() == type)
        add(biases, operand.bias);
      else
        operand.bias = joined(biases, operand.bias.scalar_type(), 0);
    }
    entry.weights = Entry::sourcesOf(weights);
    entry.biases = Entry::sourcesOf(biases);
  }
  if (casts.empty()) return;
  const Tensor like = at::empty({0}, at::TensorOptions(type).device(device));
  launchFor(like, [&](auto* element, gpu::Stream stream) { gpu::cast(casts, element, stream); });
}

}  // namespace

c10::intrusive_ptr<Operand> operandOf(const std::vector<Tensor>& weights, const std::vector<Tensor>& biases, at::ScalarType type) {
  static thread_local Entries entries;
  const auto* key = weights[0].unsafeGetTensorImpl();
  const auto found = entries.find(key);
  if (found != entries.end() && found->second.isOf(weights, biases, type)) return found->second.operand;
  if (found != entries.end() && isOnGpu(weights[0]) && type != at::kFloat) {
    const at::NoGradGuard guard;
    renewAll(entries, type, weights[0].device());
    if (found->second.isOf(weights, biases, type)) return found->second.operand;
  }
  for (auto entry = entries.begin(); entry != entries.end();) entry = entry->second.isOrphan() ? entries.erase(entry) : std::next(entry);
  Entry entry{Entry::sourcesOf(weights), Entry::sourcesOf(biases), makeOperand(weights, biases, type)};
  return entries.insert_or_assign(key, std::move(entry)).first->second.operand;
}

Tensor sumOfRows(const Matrix& x) {
  if (isOnGpu(tensorOf(x))) {
    // Several pieces of the rows, each by itself, and then their sums: always as many, so that sums are the same.
    const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(64, x.rows / 64));
    const auto floats = at::TensorOptions(at::kFloat).device(x.device);
    const Tensor y = at::empty({x.columns}, floats), parts = at::empty({pieces, x.columns}, floats);
    launchFor(tensorOf(x), [&](auto* element, gpu::Stream stream) {
      gpu::sumRows(static_cast<std::remove_pointer_t<decltype(element)>*>(x.data), dataOf<float>(parts), x.rows, x.columns, x.rowStride, pieces,
                   stream);
      gpu::sumRows(dataOf<float>(parts), dataOf<float>(y), pieces, x.columns, x.columns, 1, stream);
    });
    return y;
  }
  if (!x.device.is_cpu() || x.type == at::kHalf) return tensorOf(x).sum(0, /*keepdim=*/false, at::kFloat);
  Tensor y = at::empty({x.columns}, at::kFloat);
  at::parallel_for(0, (x.columns + 63) / 64, 1, [&](int64_t first, int64_t last) {
    const int64_t begin = first * 64, count = std::min(x.columns, last * 64) - begin;
    float* into = dataOf<float>(y) + begin;
    if (x.type == at::kFloat)
      kernels::sumRows(static_cast<float*>(x.data) + begin, into, x.rows, count, x.rowStride);
    else
      kernels::sumRows(static_cast<uint16_t*>(x.data) + begin, into, x.rows, count, x.rowStride);
  });
  return y;
}

void defineLinear(Napi::Object exports) { define(exports, "linear", linear); }
