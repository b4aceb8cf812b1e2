// The loss of an output layer with many classes, without its logits in memory: a few hundred rows at a time go through
// the product, softmax cross-entropy, and the two products of the gradient.
#include "fused.h"

namespace {

// Rows at once, at most: 1,024 × 30,522 float32 logits are 125 MB. A GPU wants more work at a time.
constexpr int64_t kRows = 1024, kGpuRows = 4096;

// How far it is from one row of logits to the next on the CPU: whole cache lines, so that no vector lies across two, and an odd number
// of them, since rows a power of two apart share one place in the caches. Without a gap, rows of 30,522 take up to half as long again to multiply.
int64_t strideOnCpu(int64_t classes) {
  constexpr int64_t line = 32;  // of bfloat16; two of float32
  return ((classes + line - 1) / line | 1) * line;
}

// Losses and hits of all rows, and with `gradient` what they say of x, weight and bias.
struct Result {
  Tensor loss, hits, dx, dWeight, dBias;
};

Result lossOf(const Tensor& x, const Tensor& masterWeight, const Optional<Tensor>& bias, const Tensor& target, bool gradient) {
  const auto operand = operandOf({masterWeight}, {}, x.scalar_type());
  const int64_t M = x.size(0), V = masterWeight.size(0);
  const auto floats = x.options().dtype(at::kFloat);
  const bool onGpu = isOnGpu(x);
  const int64_t atOnce = onGpu ? kGpuRows : kRows, chunks = (M + atOnce - 1) / atOnce, most = chunks ? (M + chunks - 1) / chunks : 0;
  // Columns of a row of logits, on a GPU with zeros behind the classes, and how far it is to the next row.
  const int64_t columns = operand->room, stride = onGpu ? columns : strideOnCpu(V);
  const Tensor logits = at::empty({most, stride}, floats), losses = at::empty({M}, floats), hits = at::empty({M}, floats);
  const Tensor dLogits = !gradient ? Tensor() : x.scalar_type() == at::kFloat ? logits : at::empty({most, stride}, x.options());
  Result result;
  if (gradient) {
    result.dx = at::empty_like(x);
    result.dWeight = M ? at::empty({columns, x.size(1)}, floats) : at::zeros({columns, x.size(1)}, floats);
    if (bias) result.dBias = at::zeros({columns}, floats);
  }
  const auto first = [&](const Tensor& t, int64_t rows) {
    Matrix matrix = matrixOf(t);
    matrix.rows = rows;
    matrix.columns = columns;
    return matrix;
  };
  for (int64_t start = 0; start < M; start += most) {
    const int64_t rows = std::min(most, M - start);
    const Tensor part = x.narrow(0, start, rows);
    const Matrix z = first(logits, rows);
    const float* addend = bias ? dataOf<float>(*bias) : nullptr;
    if (onGpu)
      multiply(matrixOf(part), operand->whole().transposed(), z);
    else
      multiply(matrixOf(part), operand->transposed, z, addend);
    if (onGpu)
      launchFor(x, [&](auto* element, gpu::Stream stream) {
        gpu::crossEntropy(dataOf<float>(logits), addend, dataOf<int64_t>(target) + start,
                          gradient ? dataOf<std::remove_pointer_t<decltype(element)>>(dLogits) : element, dataOf<float>(losses) + start,
                          dataOf<float>(hits) + start, rows, V, columns, stream);
      });
    else
      at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
          const float* line = dataOf<float>(logits) + row * stride;
          const int64_t label = dataOf<int64_t>(target)[start + row];
          kernels::RowLoss of{};
          if (!gradient)
            of = kernels::crossEntropy(line, V, label);
          else
            withElement(dLogits, [&](auto* element) {
              of = kernels::crossEntropy(line, dataOf<std::remove_pointer_t<decltype(element)>>(dLogits) + row * stride, V, label);
            });
          dataOf<float>(losses)[start + row] = of.loss;
          dataOf<float>(hits)[start + row] = of.hit;
        }
      });
    if (!gradient) continue;
    const Matrix dz = first(dLogits, rows);
    if (onGpu)
      multiply(dz, operand->whole(), matrixOf(result.dx.narrow(0, start, rows)));
    else
      multiply(dz, operand->asIs, matrixOf(result.dx.narrow(0, start, rows)));
    multiply(dz.transposed(), matrixOf(part), matrixOf(result.dWeight), nullptr, /*accumulate=*/start > 0);
    if (bias) result.dBias.add_(sumOfRows(dz));
  }
  if (gradient) {
    result.dWeight = result.dWeight.narrow(0, 0, V);
    if (bias) result.dBias = result.dBias.narrow(0, 0, V);
  }
  result.loss = losses.sum(at::kDouble).to(at::kFloat);
  result.hits = hits.sum();
  return result;
}

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Optional<Tensor>& bias,
                               const Tensor& target) {
    const Result result = lossOf(x, weight, bias, target, true);
    context->save_for_backward({result.dx, result.dWeight, result.dBias});
    context->mark_non_differentiable({result.hits});
    return {result.loss, result.hits};
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor& factor = gradients[0];
    // In place: nothing else refers to them, and the graph is used once.
    const Tensor dBias = saved[2].defined() ? saved[2].mul_(factor) : Tensor();
    return {saved[0].mul_(factor.to(saved[0].scalar_type())), saved[1].mul_(factor), dBias, Tensor()};
  }
};

// x [M, D], weight [V, D], bias [V] or none, target [M]: the summed loss in nats, and how many targets have the largest logit.
std::vector<Tensor> linearCrossEntropy(const Tensor& x, const Tensor& weight, Optional<Tensor> bias, const Tensor& target) {
  TORCH_CHECK(x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1) &&
                  (!bias || bias->sizes() == at::IntArrayRef({weight.size(0)})) && target.sizes() == at::IntArrayRef({x.size(0)}) &&
                  target.scalar_type() == at::kLong,
              "it wants an input [M, D], a weight [V, D], a bias [V] and an int64 target [M]");
  if (!hasKernels(x) || weight.scalar_type() != at::kFloat || (bias && bias->scalar_type() != at::kFloat)) {
    const Tensor logits = at::linear(x, weight.to(x.scalar_type()), bias ? bias->to(x.scalar_type()) : Tensor());
    const Tensor wide = x.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
    return {at::cross_entropy_loss(wide, target, {}, at::Reduction::Sum), at::argmax(wide, -1).eq(target).sum().to(wide.scalar_type())};
  }
  // Only on the CPU, where a look at the numbers does not wait for them.
  if (target.is_cpu() && target.numel())
    TORCH_CHECK(target.min().item<int64_t>() >= 0 && target.max().item<int64_t>() < weight.size(0), "a target is not in [0, ",
                weight.size(0), ")");
  const bool gradient = at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() || (bias && bias->requires_grad()));
  const Tensor input = x.contiguous(), labels = target.contiguous();
  const auto addend = bias ? Optional<Tensor>(bias->contiguous()) : Optional<Tensor>();
  if (gradient) return LinearCrossEntropy::apply(input, weight, addend, labels);
  const Result result = lossOf(input, weight, addend, labels, false);
  return {result.loss, result.hits};
}

}  // namespace

void defineLoss(Napi::Object exports) { define(exports, "linearCrossEntropy", linearCrossEntropy); }
