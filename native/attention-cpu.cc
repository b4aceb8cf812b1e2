// Attention on the CPU. The weights are never stored: the backward pass makes them again from q, k and the logarithms of their sums.

#include "attention.h"

namespace attending {
namespace {

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
  return {static_cast<char*>(x.data_ptr()) + first * static_cast<int64_t>(x.element_size()),
          x.scalar_type(),
          document.length,
          how.d,
          x.size(-1),
          1};
}

// Queries that are worked on together, and the keys that they see.
struct Tile {
  int64_t row, rows, column, columns;
};

// The tiles of a document. Scores of a short one are a single square, which stays in the cache; a window costs what it shows.
std::vector<Tile> tilesOf(const Request& how, int64_t length) {
  constexpr int64_t shortLength = 512, longTile = 128, windowTile = 32, worthIt = 64;
  const bool isLocal = how.window >= 0 && how.window + worthIt < length;
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

// The kernels' description of a tile of query head h.
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
};

}  // namespace

Tensor cpuAttention(const Tensor& qkv, const Request& how) { return Attention::apply(qkv, how); }

}  // namespace attending
