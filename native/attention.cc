// Multi-head attention, softmax(q·kᵀ/√d)·v, over documents that stand one after the other in each sequence; causal or not, within a
// window or not, with or without rotary positions, and with as many heads of keys and values as there are queries, or fewer: in plain
// operations, and on the GPU. attention-cpu.cc has the CPU's kernel.
#include "attention.h"

namespace attending {

Angles anglesOf(const std::vector<double>& frequencies, int64_t positions, at::Device device) {
  struct Entry {
    std::vector<double> frequencies;
    at::Device device;
    Angles angles;
  };
  static thread_local std::vector<Entry> entries;
  auto found = std::find_if(entries.begin(), entries.end(),
                            [&](const Entry& entry) { return entry.frequencies == frequencies && entry.device == device; });
  if (found != entries.end() && found->angles.cosines.size(0) >= positions) return found->angles;
  const auto half = static_cast<int64_t>(frequencies.size());
  const int64_t room = std::max<int64_t>(positions, 128);
  const Tensor angles = at::empty({room, half}, at::kDouble);
  for (int64_t t = 0; t < room; t++)
    for (int64_t i = 0; i < half; i++)
      dataOf<double>(angles)[t * half + i] = static_cast<float>(t) * static_cast<float>(frequencies[static_cast<size_t>(i)]);
  const Angles made{angles.cos().to(at::kFloat).to(device), angles.sin().to(at::kFloat).to(device)};
  constexpr size_t most = 8;
  if (found != entries.end()) {
    found->angles = made;
  } else {
    if (entries.size() == most) entries.erase(entries.begin());
    entries.push_back({frequencies, device, made});
  }
  return made;
}

void keep(AutogradContext* context, const Request& how) {
  std::vector<int64_t> documents;
  for (const auto& [sequence, start, length] : how.documents) documents.insert(documents.end(), {sequence, start, length});
  context->saved_data["documents"] = documents;
  context->saved_data["frequencies"] = how.frequencies;
  context->saved_data["sizes"] = std::vector<int64_t>{how.H, how.K, how.causal, how.window, how.firstRow};
  context->saved_data["dropout"] = std::vector<double>{how.p, how.seed};
}

Request kept(AutogradContext* context, const Tensor& qkv) {
  const auto sizes = context->saved_data["sizes"].toIntVector();
  const auto dropout = context->saved_data["dropout"].toDoubleVector();
  const auto documents = context->saved_data["documents"].toIntVector();
  Request how{qkv.size(0),
              qkv.size(1),
              sizes[0],
              sizes[1],
              qkv.size(2) / (sizes[0] + 2 * sizes[1]),
              {},
              sizes[2] != 0,
              sizes[3],
              context->saved_data["frequencies"].toDoubleVector(),
              dropout[0],
              dropout[1],
              sizes[4]};
  for (size_t i = 0; i < documents.size(); i += 3) how.documents.push_back({documents[i], documents[i + 1], documents[i + 2]});
  return how;
}

}  // namespace attending

using namespace attending;

namespace {

// [N·T] The position of each token in its document; of padding, 0.
Tensor positionsOf(const Request& how) {
  const Tensor positions = at::zeros({how.N * how.T}, at::kLong);
  for (const auto& [sequence, start, length] : how.documents)
    for (int64_t t = 0; t < length; t++) dataOf<int64_t>(positions)[sequence * how.T + start + t] = t;
  return positions;
}

// --- Plain operations ---

// [N, 1, T, T] Which positions each position sees. Padding sees itself, so that no row is empty.
Tensor visible(const Request& how) {
  const Tensor document = at::full({how.N, how.T}, -1, at::kLong);
  for (size_t i = 0; i < how.documents.size(); i++) {
    const auto& [sequence, start, length] = how.documents[i];
    document[sequence].narrow(0, start, length).fill_(static_cast<int64_t>(i));
  }
  Tensor seen = document.unsqueeze(2).eq(document.unsqueeze(1)).logical_and(document.unsqueeze(1).ge(0));
  const Tensor place = at::arange(how.T), distance = place.unsqueeze(0) - place.unsqueeze(1);
  if (how.causal) seen = seen.logical_and(distance.le(0));
  if (how.window >= 0) seen = seen.logical_and(distance.abs().le(how.window));
  seen = seen.logical_or(document.unsqueeze(2).lt(0).logical_and(distance.eq(0)));
  return seen.unsqueeze(1);
}

// [N, T, 1] 1 for tokens of a document, 0 for padding.
Tensor coverage(const Request& how, const Tensor& like) {
  const Tensor covered = at::zeros({how.N, how.T, 1}, at::kFloat);
  for (const auto& [sequence, start, length] : how.documents) covered[sequence].narrow(0, start, length).fill_(1);
  return covered.to(like.options());
}

// The heads [N, heads, T, d] of queries, keys and values, each query's own.
struct Heads {
  Tensor q, k, v;

  Heads(const Tensor& qkv, const Request& how) {
    const Tensor all = qkv.view({how.N, how.T, how.H + 2 * how.K, how.d}).transpose(1, 2);
    const auto each = [&](int64_t first) { return all.narrow(1, first, how.K).repeat_interleave(how.G(), 1); };
    q = all.narrow(1, 0, how.H);
    k = how.G() == 1 ? all.narrow(1, how.H, how.K) : each(how.H);
    v = how.G() == 1 ? all.narrow(1, how.H + how.K, how.K) : each(how.H + how.K);
  }
};

Tensor plainRotation(const Tensor& x, const Tensor& cosines, const Tensor& sines) {
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cosines - halves[1] * sines, halves[1] * cosines + halves[0] * sines}, -1);
}

Tensor plainAttention(const Tensor& qkv, const Request& how) {
  Heads heads(qkv, how);
  if (!how.frequencies.empty()) {
    const auto angles = anglesOf(how.frequencies, how.longest(), qkv.device());
    const Tensor positions = positionsOf(how).to(qkv.device());
    const auto wide = qkv.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto of = [&](const Tensor& table) { return table.index_select(0, positions).view({how.N, 1, how.T, how.d / 2}).to(wide); };
    const Tensor cosines = of(angles.cosines), sines = of(angles.sines);
    heads.q = plainRotation(heads.q.to(wide), cosines, sines).to(qkv.scalar_type());
    heads.k = plainRotation(heads.k.to(wide), cosines, sines).to(qkv.scalar_type());
  }
  const Tensor hidden = visible(how).logical_not().to(qkv.device());
  const Tensor scores = (at::matmul(heads.q, heads.k.transpose(2, 3)) * how.scale()).masked_fill(hidden, -INFINITY);
  const Tensor weights = dropout(at::softmax(scores, -1), how.p, how.seed, how.firstRow);
  const Tensor y = at::matmul(weights, heads.v).transpose(1, 2).reshape({how.N, how.T, how.H * how.d});
  return how.isFull() ? y : y.masked_fill(coverage(how, y).eq(0), 0);
}

// --- The GPU ---

#if TAPER_TORCH_AT_LEAST(2, 0)
// Queries and keys turned to their positions; values as they are.
struct Rotate : torch::autograd::Function<Rotate> {
  static Tensor run(const Tensor& x, const Request& how, float direction) {
    const auto angles = anglesOf(how.frequencies, how.longest(), x.device());
    const Tensor positions = positionsOf(how).to(x.device()), y = at::empty_like(x);
    launchFor(x, [&](auto* element, gpu::Stream stream) {
      using Element = std::remove_pointer_t<decltype(element)>;
      gpu::rotate(dataOf<Element>(x), dataOf<Element>(y), dataOf<int64_t>(positions), dataOf<float>(angles.cosines),
                  dataOf<float>(angles.sines), how.N * how.T, how.H + 2 * how.K, how.H + how.K, how.d / 2, direction, stream);
    });
    return y;
  }
  static Tensor forward(AutogradContext* context, const Tensor& qkv, const Request& how) {
    keep(context, how);
    return run(qkv, how, 1);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor dy = gradients[0].contiguous();
    return {run(dy, kept(context, dy), -1), Tensor()};
  }
};

// libtorch's own for GPUs: flash attention in half precision where each sequence is one document without a window. Its dropout draws
// from the device's generator, which is told where to begin.
Tensor gpuAttention(const Tensor& given, const Request& how) {
  const Tensor qkv = how.frequencies.empty() ? given : Rotate::apply(given, how);
  const Heads heads(qkv, how);
  if (how.p > 0) {
    auto generator = at::globalContext().defaultGenerator(qkv.device());
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(how.seed) + static_cast<uint64_t>(how.firstRow) * 0x9E3779B97F4A7C15u);
  }
  const bool isWhole = static_cast<int64_t>(how.documents.size()) == how.N && how.isFull() && how.window < 0;
  auto mask = isWhole ? Optional<Tensor>() : Optional<Tensor>(visible(how).to(qkv.device()));
  const Tensor context = at::scaled_dot_product_attention(heads.q, heads.k, heads.v, mask, how.p, how.causal && isWhole);
  const Tensor y = context.transpose(1, 2).reshape({how.N, how.T, how.H * how.d});
  return how.isFull() ? y : y * coverage(how, y);
}
#endif

// qkv [N, T, (H + 2·K)·d]: the queries of all heads, then the keys, then the values. documents: sequence, start and length of each,
// or none where each sequence is one. A token of no document gets 0.
Tensor attention(const Tensor& qkv, int64_t heads, int64_t keyValueHeads, std::vector<int64_t> documents, bool causal, int64_t window,
                 std::vector<double> frequencies, double p, double seed, int64_t firstRow) {
  TORCH_CHECK(
      qkv.dim() == 3 && heads > 0 && keyValueHeads > 0 && heads % keyValueHeads == 0 && qkv.size(2) % (heads + 2 * keyValueHeads) == 0,
      "the input must be [N, T, (H + 2·K)·d] with ", heads, " heads of queries and ", keyValueHeads, " of keys and values");
  Request how{qkv.size(0), qkv.size(1), heads,  keyValueHeads,          qkv.size(2) / (heads + 2 * keyValueHeads),
              {},          causal,      window, std::move(frequencies), p,
              seed,        firstRow};
  TORCH_CHECK(how.frequencies.empty() || static_cast<int64_t>(how.frequencies.size()) * 2 == how.d,
              "rotary positions turn pairs: a head of size ", how.d, " has ", how.frequencies.size(), " frequencies");
  if (documents.empty())
    for (int64_t n = 0; n < how.N; n++) how.documents.push_back({n, 0, how.T});
  for (size_t i = 0; i + 2 < documents.size(); i += 3) {
    const Document document{documents[i], documents[i + 1], documents[i + 2]};
    TORCH_CHECK(document.sequence >= 0 && document.sequence < how.N && document.start >= 0 && document.length > 0 &&
                    document.start + document.length <= how.T,
                "a document is not within the ", how.N, " sequences of ", how.T, " tokens");
    how.documents.push_back(document);
  }
  if (!hasKernels(qkv) || qkv.numel() == 0) return plainAttention(qkv.contiguous(), how);
  if (!isOnGpu(qkv)) return cpuAttention(qkv.contiguous(), how);
#if TAPER_TORCH_AT_LEAST(2, 0)
  return gpuAttention(qkv.contiguous(), how);
#else
  return plainAttention(qkv.contiguous(), how);
#endif
}

// The attention of tokens that come behind `length` others, whose keys and values [N, K, capacity, d] are there already; those of these
// tokens are written behind them. Without gradients.
Tensor cachedAttention(const Tensor& qkv, Tensor keys, Tensor values, int64_t length, int64_t heads, std::vector<double> frequencies) {
  const at::NoGradGuard guard;
  const int64_t N = qkv.size(0), T = qkv.size(1), K = keys.size(1), d = keys.size(3), end = length + T;
  TORCH_CHECK(qkv.dim() == 3 && qkv.size(2) == (heads + 2 * K) * d && keys.size(0) == N && heads % K == 0,
              "the input must be [N, T, (H + 2·K)·d], and the cache [N, K, capacity, d]");
  TORCH_CHECK(end <= keys.size(2), "the cache has room for ", keys.size(2), " tokens, not for ", end);
  const Tensor all = qkv.view({N, T, heads + 2 * K, d}).transpose(1, 2);
  Tensor turned = all.narrow(1, 0, heads + K);
  if (!frequencies.empty()) {
    const auto angles = anglesOf(frequencies, end, qkv.device());
    turned = plainRotation(turned.to(at::kFloat), angles.cosines.narrow(0, length, T), angles.sines.narrow(0, length, T));
  }
  keys.narrow(2, length, T).copy_(turned.narrow(1, heads, K));
  values.narrow(2, length, T).copy_(all.narrow(1, heads + K, K));
  // The heads of a group are rows of one product.
  const Tensor q = turned.narrow(1, 0, heads).to(qkv.scalar_type()).reshape({N, K, heads / K * T, d});
  Tensor scores = at::matmul(q, keys.narrow(2, 0, end).transpose(2, 3)).to(at::kFloat) * (1 / std::sqrt(static_cast<double>(d)));
  if (T > 1) {
    const Tensor later = at::ones({T, end}, scores.options().dtype(at::kBool)).triu(length + 1);
    scores = scores.view({N, heads, T, end}).masked_fill(later, -INFINITY).view({N, K, heads / K * T, end});
  }
  const Tensor context = at::matmul(at::softmax(scores, -1).to(qkv.scalar_type()), values.narrow(2, 0, end));
  return context.view({N, heads, T, d}).transpose(1, 2).reshape({N, T, heads * d});
}

}  // namespace

void defineAttention(Napi::Object exports) {
  define(exports, "attention", attention);
  define(exports, "cachedAttention", cachedAttention);
}
