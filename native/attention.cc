// Multi-head attention, softmax(q·kᵀ/√d)·v, over documents that stand one after the other in each sequence; causal or not, within a
// window or not, with or without rotary positions, and with as many heads of keys and values as there are queries, or fewer.
// The weights are never stored: the backward pass makes them again from q, k and the logarithms of their sums.
#include <algorithm>
#include <cmath>

#include "fused.h"

namespace {

// --- What is asked for ---

// Legend: N sequences, T positions, H query heads, K heads of keys and values, G = H/K, d head size. qkv is [N, T, (H + 2·K)·d].
struct Document {
  int64_t sequence, start, length;
};

struct Request {
  int64_t N, T, H, K, d;
  std::vector<Document> documents;
  bool causal;
  int64_t window;  // positions that a token sees before and after itself; negative for all
  std::vector<double> frequencies;  // of rotary positions, [d/2]; none without them
  double p, seed;
  int64_t firstRow;

  int64_t G() const { return H / K; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(d)); }
  int64_t longest() const {
    int64_t most = 0;
    for (const auto& document : documents) most = std::max(most, document.length);
    return most;
  }
  // Whether each token is in a document.
  bool isFull() const {
    int64_t tokens = 0;
    for (const auto& document : documents) tokens += document.length;
    return tokens == N * T;
  }
};

// --- Rotary positions ---

// Cosines and sines of position·frequency, [positions, d/2] each, in float32 as transformers has them.
struct Angles {
  Tensor cosines, sines;
};

// Those of the first positions; kept, since each block of each step wants the same.
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
    const auto of = [&](const Tensor& table) {
      return table.index_select(0, positions).view({how.N, 1, how.T, how.d / 2}).to(wide);
    };
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

// --- The CPU's kernel ---

// Rows [first, first + count) of a matrix.
Matrix rowsOf(const Matrix& x, int64_t first, int64_t count) {
  char* data = static_cast<char*>(x.data) + first * x.rowStride * static_cast<int64_t>(c10::elementSize(x.type));
  return {data, x.type, count, x.columns, x.rowStride, x.columnStride, x.device};
}

// The start of some memory as a matrix.
Matrix matrixIn(const Tensor& room, int64_t rows, int64_t columns) {
  return {room.data_ptr(), room.scalar_type(), rows, columns, columns, 1};
}

// A head of a document: [length, d] of a tensor [N, T, heads·d], in place.
Matrix headOf(const Tensor& x, const Request& how, const Document& document, int64_t head) {
  const int64_t first = (document.sequence * how.T + document.start) * x.size(-1) + head * how.d;
  return {static_cast<char*>(x.data_ptr()) + first * static_cast<int64_t>(x.element_size()), x.scalar_type(), document.length, how.d,
          x.size(-1), 1};
}

// Queries that are worked on together, and the keys that they see.
struct Tile {
  int64_t row, rows, column, columns;
};

// The tiles of a document. Scores of a short one are a single square, which stays in the cache; a window costs what it shows.
std::vector<Tile> tilesOf(const Request& how, int64_t length) {
  constexpr int64_t shortLength = 512, longTile = 128, windowTile = 64;
  const bool isLocal = how.window >= 0 && how.window + windowTile < length;
  const int64_t size = isLocal ? windowTile : length <= shortLength ? length : longTile;
  std::vector<Tile> tiles;
  for (int64_t row = 0; row < length; row += size) {
    const int64_t rows = std::min(size, length - row);
    const int64_t from = how.window < 0 ? 0 : std::max<int64_t>(0, row - how.window);
    const int64_t after = how.causal ? 0 : how.window < 0 ? length : how.window;
    tiles.push_back({row, rows, from, std::min(length, row + rows + after) - from});
  }
  return tiles;
}

// What the kernels are told of a tile of query head h.
kernels::Attention kernelOf(const Request& how, const Document& document, int64_t h, const Tile& tile, const kernels::Dropout& dropout) {
  const int64_t all = how.T, window = how.window < 0 ? all : how.window;
  const int64_t head = (how.firstRow + document.sequence) * how.H + h;
  return {tile.rows,
          tile.columns,
          tile.row - tile.column,
          window,
          how.causal ? 0 : window,
          static_cast<float>(how.scale()),
          (head * how.T + document.start + tile.row) * how.T + document.start + tile.column,
          how.T,
          dropout};
}

// A group's heads of a document: G query heads, and the head of keys and values that they share. Queries are turned to their
// positions, and those of a tile put under each other, so that a product is made for all of them at once.
class Group {
 public:
  Group(const Request& how, const Tensor& qkv)
      : how_(how),
        turns_(!how.frequencies.empty()),
        stacks_(turns_ || how.G() > 1),
        q_(stacks_ ? at::empty({how.longest() * how.G() * how.d}, qkv.options()) : Tensor()),
        k_(turns_ ? at::empty({how.longest() * how.d}, qkv.options()) : Tensor()) {
    if (turns_) angles_ = anglesOf(how.frequencies, how.longest(), at::kCPU);
  }

  void read(const Tensor& qkv, const Document& document, int64_t group, const std::vector<Tile>& tiles) {
    document_ = document;
    if (stacks_) {
      queries_ = matrixIn(q_, document.length * how_.G(), how_.d);
      stack(qkv, group, tiles, queries_, turns_);
    } else {
      queries_ = headOf(qkv, how_, document, group);
    }
    keys_ = headOf(qkv, how_, document, how_.H + group);
    if (turns_) {
      const Matrix turned = matrixIn(k_, document.length, how_.d);
      turn(keys_, turned, 0, 1);
      keys_ = turned;
    }
    values_ = headOf(qkv, how_, document, how_.H + how_.K + group);
  }

  bool stacks() const { return stacks_; }
  bool turns() const { return turns_; }
  Matrix queries(const Tile& tile) const { return rowsOf(queries_, tile.row * how_.G(), tile.rows * how_.G()); }
  Matrix keys(const Tile& tile) const { return rowsOf(keys_, tile.column, tile.columns); }
  Matrix values(const Tile& tile) const { return rowsOf(values_, tile.column, tile.columns); }

  // The group's query heads of a tensor [N, T, heads·d], put as the queries are.
  void stack(const Tensor& x, int64_t group, const std::vector<Tile>& tiles, const Matrix& into, bool turned) const {
    eachPart(x, group, tiles, into, [&](const Matrix& part, const Matrix& place, int64_t row) { move(part, place, row, 1, turned); });
  }
  // The other way round.
  void unstack(const Matrix& from, const Tensor& x, int64_t group, const std::vector<Tile>& tiles, bool turned) const {
    eachPart(x, group, tiles, from, [&](const Matrix& part, const Matrix& place, int64_t row) { move(place, part, row, -1, turned); });
  }
  // y = x, turned by the angles of the positions from `row` on, forwards or backwards.
  void turn(const Matrix& x, const Matrix& y, int64_t row, float direction) const {
    const int64_t half = how_.d / 2;
    const kernels::Rotation rotation{dataOf<float>(angles_.cosines) + row * half, dataOf<float>(angles_.sines) + row * half, x.rows, half,
                                     direction};
    if (x.type == at::kFloat && y.type == at::kFloat)
      kernels::rotate(static_cast<float*>(x.data), x.rowStride, static_cast<float*>(y.data), y.rowStride, rotation);
    else if (x.type == at::kFloat)
      kernels::rotate(static_cast<float*>(x.data), x.rowStride, static_cast<uint16_t*>(y.data), y.rowStride, rotation);
    else
      kernels::rotate(static_cast<uint16_t*>(x.data), x.rowStride, static_cast<uint16_t*>(y.data), y.rowStride, rotation);
  }

 private:
  void move(const Matrix& x, const Matrix& y, int64_t row, float direction, bool turned) const {
    if (turned)
      turn(x, y, row, direction);
    else
      tensorOf(y).copy_(tensorOf(x));
  }
  template <typename Body>
  void eachPart(const Tensor& x, int64_t group, const std::vector<Tile>& tiles, const Matrix& stacked, Body body) const {
    for (const Tile& tile : tiles)
      for (int64_t g = 0; g < how_.G(); g++)
        body(rowsOf(headOf(x, how_, document_, group * how_.G() + g), tile.row, tile.rows),
             rowsOf(stacked, tile.row * how_.G() + g * tile.rows, tile.rows), tile.row);
  }

  const Request& how_;
  bool turns_, stacks_;
  Tensor q_, k_;
  Angles angles_;
  Document document_{};
  Matrix queries_{}, keys_{}, values_{};
};

struct Attention : torch::autograd::Function<Attention> {
  // Calls body(first, last) for the groups of all documents, split over threads.
  template <typename Body>
  static void overGroups(const Request& how, Body body) {
    at::parallel_for(0, static_cast<int64_t>(how.documents.size()) * how.K, 1, body);
  }
  // Elements of the largest tile.
  static int64_t largestTile(const Request& how) {
    int64_t most = 0, seen = -1;
    for (const auto& document : how.documents) {
      if (document.length == seen) continue;
      seen = document.length;
      for (const Tile& tile : tilesOf(how, seen)) most = std::max(most, tile.rows * tile.columns);
    }
    return most * how.G();
  }
  static float* logSumsOf(const Tensor& logSums, const Request& how, const Document& document, int64_t h) {
    return dataOf<float>(logSums) + (document.sequence * how.H + h) * how.T + document.start;
  }

  static Tensor forward(AutogradContext* context, const Tensor& qkv, const Request& how) {
    const auto drop = dropoutOf(how.p, how.seed);
    const auto floats = qkv.options().dtype(at::kFloat);
    const std::vector<int64_t> shape{how.N, how.T, how.H * how.d};
    const Tensor y = how.isFull() ? at::empty(shape, qkv.options()) : at::zeros(shape, qkv.options());
    const Tensor logSums = at::empty({how.N, how.H, how.T}, floats);
    overGroups(how, [&](int64_t begin, int64_t end) {
      const Tensor scores = at::empty({largestTile(how)}, floats), weights = at::empty({largestTile(how)}, qkv.options());
      Group group(how, qkv);
      const Tensor stackedY = how.G() > 1 ? at::empty({how.longest() * how.G() * how.d}, qkv.options()) : Tensor();
      for (int64_t i = begin; i < end; i++) {
        const Document& document = how.documents[static_cast<size_t>(i / how.K)];
        const int64_t k = i % how.K;
        const auto tiles = tilesOf(how, document.length);
        group.read(qkv, document, k, tiles);
        const Matrix context = how.G() > 1 ? matrixIn(stackedY, document.length * how.G(), how.d) : headOf(y, how, document, k);
        for (const Tile& tile : tiles) {
          const Matrix queries = group.queries(tile);
          multiply(queries, group.keys(tile).transposed(), matrixIn(scores, queries.rows, tile.columns));
          for (int64_t g = 0; g < how.G(); g++)
            withElement(qkv, [&](auto* element) {
              const int64_t h = k * how.G() + g, at = g * tile.rows * tile.columns;
              kernels::attention(dataOf<float>(scores) + at, dataOf<std::remove_pointer_t<decltype(element)>>(weights) + at,
                                 logSumsOf(logSums, how, document, h) + tile.row, kernelOf(how, document, h, tile, drop));
            });
          multiply(matrixIn(weights, queries.rows, tile.columns), group.values(tile),
                   rowsOf(context, tile.row * how.G(), tile.rows * how.G()));
        }
        if (how.G() > 1) group.unstack(context, y, k, tiles, false);
      }
    });
    context->save_for_backward({qkv, logSums});
    keep(context, how);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &logSums = saved[1], dy = gradients[0].contiguous();
    const Request how = kept(context, qkv);
    const auto drop = dropoutOf(how.p, how.seed);
    const auto floats = qkv.options().dtype(at::kFloat);
    const Tensor dqkv = how.isFull() ? at::empty_like(qkv) : at::zeros_like(qkv);
    overGroups(how, [&](int64_t begin, int64_t end) {
      const int64_t largest = largestTile(how), G = how.G(), d = how.d;
      const Tensor scores = at::empty({largest}, floats), dWeights = at::empty({largest}, floats);
      const Tensor weights = at::empty({largest}, qkv.options()), dScores = at::empty({largest}, qkv.options());
      Group group(how, qkv);
      const Tensor stackedDy = G > 1 ? at::empty({how.longest() * G * d}, qkv.options()) : Tensor();
      const Tensor stackedDq = group.stacks() ? at::empty({how.longest() * G * d}, floats) : Tensor();
      const Tensor dkRoom = at::empty({how.longest() * d}, floats), dvRoom = at::empty({how.longest() * d}, floats);
      for (int64_t i = begin; i < end; i++) {
        const Document& document = how.documents[static_cast<size_t>(i / how.K)];
        const int64_t k = i % how.K, L = document.length;
        const auto tiles = tilesOf(how, L);
        // A single tile gives all of the gradients of keys and values; several add them up.
        const bool addsUp = tiles.size() > 1;
        group.read(qkv, document, k, tiles);
        const Matrix dContext = G > 1 ? matrixIn(stackedDy, L * G, d) : headOf(dy, how, document, k);
        if (G > 1) group.stack(dy, k, tiles, dContext, false);
        const Matrix dKey = headOf(dqkv, how, document, how.H + k), dValue = headOf(dqkv, how, document, how.H + how.K + k);
        const Matrix dq = group.stacks() ? matrixIn(stackedDq, L * G, d) : headOf(dqkv, how, document, k);
        const Matrix dk = addsUp || group.turns() ? matrixIn(dkRoom, L, d) : dKey;
        const Matrix dv = addsUp ? matrixIn(dvRoom, L, d) : dValue;
        if (addsUp) {
          tensorOf(dk).zero_();
          tensorOf(dv).zero_();
        }
        for (const Tile& tile : tiles) {
          const Matrix queries = group.queries(tile), keys = group.keys(tile), values = group.values(tile);
          const Matrix dy = rowsOf(dContext, tile.row * G, tile.rows * G);
          const auto square = [&](const Tensor& room) { return matrixIn(room, queries.rows, tile.columns); };
          multiply(queries, keys.transposed(), square(scores));
          multiply(dy, values.transposed(), square(dWeights));
          for (int64_t g = 0; g < G; g++)
            withElement(qkv, [&](auto* element) {
              using Element = std::remove_pointer_t<decltype(element)>;
              const int64_t h = k * G + g, at = g * tile.rows * tile.columns;
              kernels::attentionBackward(dataOf<float>(scores) + at, dataOf<float>(dWeights) + at,
                                         logSumsOf(logSums, how, document, h) + tile.row, dataOf<Element>(weights) + at,
                                         dataOf<Element>(dScores) + at, kernelOf(how, document, h, tile, drop));
            });
          multiply(square(dScores), keys, rowsOf(dq, tile.row * G, tile.rows * G));
          multiply(square(dScores).transposed(), queries, rowsOf(dk, tile.column, tile.columns), nullptr, addsUp);
          multiply(square(weights).transposed(), dy, rowsOf(dv, tile.column, tile.columns), nullptr, addsUp);
        }
        if (group.stacks()) group.unstack(dq, dqkv, k, tiles, group.turns());
        if (group.turns())
          group.turn(dk, dKey, 0, -1);
        else if (addsUp)
          tensorOf(dKey).copy_(tensorOf(dk));
        if (addsUp) tensorOf(dValue).copy_(tensorOf(dv));
      }
    });
    return {dqkv, Tensor()};
  }

  // What a Function remembers between forward and backward.
  static void keep(AutogradContext* context, const Request& how) {
    std::vector<int64_t> documents;
    for (const auto& [sequence, start, length] : how.documents) documents.insert(documents.end(), {sequence, start, length});
    context->saved_data["documents"] = documents;
    context->saved_data["frequencies"] = how.frequencies;
    context->saved_data["sizes"] = std::vector<int64_t>{how.H, how.K, how.causal, how.window, how.firstRow};
    context->saved_data["dropout"] = std::vector<double>{how.p, how.seed};
  }
  static Request kept(AutogradContext* context, const Tensor& qkv) {
    const auto sizes = context->saved_data["sizes"].toIntVector();
    const auto dropout = context->saved_data["dropout"].toDoubleVector();
    const auto documents = context->saved_data["documents"].toIntVector();
    Request how{qkv.size(0), qkv.size(1), sizes[0], sizes[1], qkv.size(2) / (sizes[0] + 2 * sizes[1]), {}, sizes[2] != 0, sizes[3],
                context->saved_data["frequencies"].toDoubleVector(), dropout[0], dropout[1], sizes[4]};
    for (size_t i = 0; i < documents.size(); i += 3) how.documents.push_back({documents[i], documents[i + 1], documents[i + 2]});
    return how;
  }
};

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
    Attention::keep(context, how);
    return run(qkv, how, 1);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor dy = gradients[0].contiguous();
    return {run(dy, Attention::kept(context, dy), -1), Tensor()};
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
  TORCH_CHECK(qkv.dim() == 3 && heads > 0 && keyValueHeads > 0 && heads % keyValueHeads == 0 &&
                  qkv.size(2) % (heads + 2 * keyValueHeads) == 0,
              "the input must be [N, T, (H + 2·K)·d] with ", heads, " heads of queries and ", keyValueHeads, " of keys and values");
  Request how{qkv.size(0), qkv.size(1), heads, keyValueHeads, qkv.size(2) / (heads + 2 * keyValueHeads), {}, causal, window,
              std::move(frequencies), p, seed, firstRow};
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
  if (!isOnGpu(qkv)) return Attention::apply(qkv.contiguous(), how);
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
