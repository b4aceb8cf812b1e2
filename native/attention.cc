// Multi-head attention, softmax(q·kᵀ/√d)·v, over documents that stand one after the other in each sequence; causal or not, within a
// window or not, with or without rotary positions, and with as many heads of keys and values as there are queries, or fewer: in plain
// operations, and on the GPU. attention-cpu.cc has the CPU's kernel.
#include "attention.h"

#include <torch/csrc/autograd/autograd.h>

#ifdef TAPER_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

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

// [N·T] The position of each token in its document; of padding, 0.
Tensor positionsOf(const Request& how) {
  const Tensor positions = at::zeros({how.N * how.T}, at::kInt);
  for (const auto& [sequence, start, length] : how.documents)
    for (int64_t t = 0; t < length; t++) dataOf<int32_t>(positions)[sequence * how.T + start + t] = static_cast<int32_t>(t);
  return positions;
}

// [N, T, 1] 1 for tokens of a document, 0 for padding.
Tensor coverage(const Request& how) {
  const Tensor covered = at::zeros({how.N, how.T, 1}, at::kFloat);
  for (const auto& [sequence, start, length] : how.documents) covered[sequence].narrow(0, start, length).fill_(1);
  return covered;
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
  return how.isFull() ? y : y.masked_fill(coverage(how).eq(0).to(y.device()), 0);
}

// --- The GPU ---

// Where documents stand, as the GPU reads it. All blocks of a step want the same: it is kept until other documents come, and copied
// without waiting for the GPU.
struct Places {
  std::vector<Document> documents;
  int64_t N, T;
  at::Device device;
  Tensor positions;  // [N·T] int32: of each token in its document
  Tensor ends;       // int32: where each document begins among all tokens, and the end; padding counts as documents of its own
  int64_t longest;   // of those
  Tensor covered;    // [N, T, 1] float32: 1 for tokens of a document; undefined where all are
};

const Places& placesOf(const Request& how, at::Device device) {
  static thread_local std::unique_ptr<Places> last;
  if (last && last->documents == how.documents && last->N == how.N && last->T == how.T && last->device == device) return *last;
  std::vector<int32_t> ends{0};
  int64_t longest = 0;
  const auto reach = [&](int64_t end) {
    if (end <= ends.back()) return;
    longest = std::max(longest, end - ends.back());
    ends.push_back(static_cast<int32_t>(end));
  };
  const auto reachSequence = [&](int64_t n) {  // padding ends with its sequence
    while (ends.back() / how.T < n) reach((ends.back() / how.T + 1) * how.T);
  };
  for (const auto& [sequence, start, length] : how.documents) {
    reachSequence(sequence);
    reach(sequence * how.T + start);
    reach(sequence * how.T + start + length);
  }
  reachSequence(how.N);
  const auto there = [&](const Tensor& x) { return device.is_cuda() ? x.pin_memory().to(device, /*non_blocking=*/true) : x; };
  last = std::make_unique<Places>(Places{how.documents, how.N, how.T, device, there(positionsOf(how)), there(at::tensor(ends, at::kInt)),
                                         longest, how.isFull() ? Tensor() : there(coverage(how))});
  return *last;
}

// Queries, keys and values, each [N, T, heads, d], the heads of a token side by side.
struct Parts {
  Tensor q, k, v;

  Parts(Tensor queries, Tensor keys, Tensor values) : q(std::move(queries)), k(std::move(keys)), v(std::move(values)) {}
  Parts(const Tensor& qkv, const Request& how) {
    const Tensor all = qkv.view({how.N, how.T, how.H + 2 * how.K, how.d});
    q = all.narrow(2, 0, how.H);
    k = all.narrow(2, how.H, how.K);
    v = all.narrow(2, how.H + how.K, how.K);
  }
};

// [N, T, (H + 2·K)·d]: queries and keys turned to their positions, or back from them with direction −1, and values as they are.
Tensor sideBySide(const Parts& parts, const Request& how, float direction) {
  const Tensor y = at::empty({how.N, how.T, (how.H + 2 * how.K) * how.d}, parts.q.options());
  gpu::Turn turn{nullptr, nullptr, nullptr, how.T, direction};
  if (!how.frequencies.empty()) {
    const auto angles = anglesOf(how.frequencies, how.longest(), y.device());
    turn.cosines = dataOf<float>(angles.cosines);
    turn.sines = dataOf<float>(angles.sines);
    if (!how.isWhole()) turn.positions = dataOf<int32_t>(placesOf(how, y.device()).positions);
  }
  launchFor(y, [&](auto* element, gpu::Stream stream) {
    using Element = std::remove_pointer_t<decltype(element)>;
    const auto part = [](const Tensor& x) { return gpu::Part<Element>{dataOf<Element>(x), x.stride(1), x.size(2)}; };
    gpu::sideBySide(part(parts.q), part(parts.k), part(parts.v), dataOf<Element>(y), how.N * how.T, how.d, turn, stream);
  });
  return y;
}

// libtorch's dropout draws from the device's generator, which gets the position to start from.
void seedGenerator(const Request& how, at::Device device) {
  if (how.p == 0) return;
  auto generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(static_cast<uint64_t>(how.seed) + static_cast<uint64_t>(how.firstRow) * 0x9E3779B97F4A7C15u);
}

// Flash attention as libtorch has it: in half precision, with the work that documents and windows have, and no more.
#if defined(TAPER_CUDA) && TAPER_TORCH_AT_LEAST(2, 5)
class Flash {
 public:
  static bool takes(const Tensor& qkv, const Request& how) {
    // Libtorch's own choice has conditions for larger heads and other GPUs that are not known here.
    const int generation = at::cuda::getDeviceProperties(qkv.device().index())->major;
    return (generation == 8 || generation == 9) && qkv.scalar_type() != at::kFloat && how.d % 8 == 0 && how.d <= 128 && how.T > 1;
  }
  Flash(const Tensor& qkv, const Request& request) : how(request), parts(qkv, request), longest(request.T) {
    if (how.window >= 0) {
      before = how.window;
      after = how.causal ? 0 : how.window;
    }
    if (how.isWhole()) return;
    const Places& places = placesOf(how, qkv.device());
    ends = places.ends;
    longest = places.longest;
    for (Tensor* x : {&parts.q, &parts.k, &parts.v}) *x = x->flatten(0, 1);
  }
  // The result, and what the backward pass wants beside it: logarithms of sums, and two tensors that stand for the generator's state.
  variable_list forward() const {
    seedGenerator(how, parts.q.device());
    const auto among = ends.defined() ? Optional<Tensor>(ends) : Optional<Tensor>();
    const auto found = at::_flash_attention_forward(parts.q, parts.k, parts.v, among, among, longest, longest, how.p, how.causal,
                                                    /*return_debug_mask=*/false, Optional<double>(how.scale()), before, after);
    return {std::get<0>(found), std::get<1>(found), std::get<2>(found), std::get<3>(found)};
  }
  // found: what the forward pass gave, from its result on.
  Parts backward(const Tensor& dy, at::ArrayRef<Tensor> found) const {
    const auto gradients = at::_flash_attention_backward(dy.view(found[0].sizes()), parts.q, parts.k, parts.v, found[0], found[1], ends, ends,
                                                         longest, longest, how.p, how.causal, found[2], found[3],
                                                         Optional<double>(how.scale()), before, after);
    const auto shaped = [&](const Tensor& x) { return x.contiguous().view({how.N, how.T, x.size(-2), how.d}); };
    return {shaped(std::get<0>(gradients)), shaped(std::get<1>(gradients)), shaped(std::get<2>(gradients))};
  }

 private:
  const Request& how;
  Parts parts;
  Tensor ends;
  int64_t longest;
  Optional<int64_t> before, after;
};
#else
struct Flash {
  static bool takes(const Tensor&, const Request&) { return false; }
  Flash(const Tensor&, const Request&) {}
  variable_list forward() const { return {}; }
  Parts backward(const Tensor&, at::ArrayRef<Tensor>) const { return {{}, {}, {}}; }
};
#endif

// Where there is no flash attention: libtorch's choice among its others; plain operations where it has none.
Tensor otherAttention(const Tensor& qkv, const Request& how) {
#if defined(TAPER_CUDA) && TAPER_TORCH_AT_LEAST(2, 0)
  seedGenerator(how, qkv.device());
  const Heads heads(qkv, how);
  const bool isSquare = how.isWhole() && how.window < 0;
  const auto mask = isSquare ? Optional<Tensor>() : Optional<Tensor>(visible(how).to(qkv.device()));
  return at::scaled_dot_product_attention(heads.q, heads.k, heads.v, mask, how.p, how.causal && isSquare)
      .transpose(1, 2)
      .reshape({how.N, how.T, how.H * how.d});
#else
  return plainAttention(qkv, how);
#endif
}

struct GpuAttention : torch::autograd::Function<GpuAttention> {
  // Of queries and keys that are turned already.
  static Request turned(const Request& how) {
    Request rest = how;
    rest.frequencies.clear();
    return rest;
  }
  // Nothing for tokens of no document.
  static Tensor covered(const Tensor& x, const Request& how) {
    return how.isFull() ? x : x * placesOf(how, x.device()).covered.to(x.scalar_type());
  }

  static Tensor forward(AutogradContext* context, const Tensor& given, const Request& how) {
    const Tensor qkv = how.frequencies.empty() ? given : sideBySide(Parts(given, how), how, 1);
    const Request rest = turned(how);
    keep(context, how);
    Tensor y;
    if (Flash::takes(qkv, how)) {
      variable_list found = Flash(qkv, rest).forward();
      y = found[0].view({how.N, how.T, how.H * how.d});
      found.insert(found.begin(), qkv);
      context->save_for_backward(std::move(found));
    } else {
      const at::AutoGradMode mode(given.requires_grad());
      const Tensor leaf = qkv.detach().requires_grad_(given.requires_grad());
      const Tensor inner = otherAttention(leaf, rest);
      context->save_for_backward({leaf});
      context->saved_data["inner"] = inner;
      y = inner.detach();
    }
    return covered(y, how);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor& qkv = saved[0];
    const Request how = kept(context, qkv), rest = turned(how);
    const Tensor dy = covered(gradients[0].contiguous(), how);
    if (saved.size() > 1) return {sideBySide(Flash(qkv, rest).backward(dy, at::ArrayRef<Tensor>(saved).slice(1)), how, -1), Tensor()};
    const Tensor found = torch::autograd::grad({context->saved_data["inner"].toTensor()}, {qkv}, {dy})[0];
    return {how.frequencies.empty() ? found : sideBySide(Parts(found.contiguous(), how), how, -1), Tensor()};
  }
};

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
  return GpuAttention::apply(qkv.contiguous(), how);
}

// The attention of tokens that come behind `length` others, whose keys and values [N, K, capacity, d] already exist; those of these
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
