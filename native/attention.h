// What the attention operations are asked for, and what they share.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "fused.h"

namespace attending {

// Legend: N sequences, T positions, H query heads, K heads of keys and values, G = H/K, d head size. qkv is [N, T, (H + 2·K)·d].
struct Document {
  int64_t sequence, start, length;
  bool operator==(const Document& other) const {
    return sequence == other.sequence && start == other.start && length == other.length;
  }
};

struct Request {
  int64_t N, T, H, K, d;
  std::vector<Document> documents;
  bool causal;
  int64_t window;                   // positions that a token sees before and after itself; negative for all
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
  // Whether each sequence is one document.
  bool isWhole() const { return static_cast<int64_t>(documents.size()) == N && isFull(); }
};

// Cosines and sines of position·frequency, [positions, d/2] each, in float32 as transformers has them.
struct Angles {
  Tensor cosines, sines;
};
// Those of the first positions; kept, since each block of each step wants the same.
Angles anglesOf(const std::vector<double>& frequencies, int64_t positions, at::Device device);

// What a Function remembers between forward and backward.
void keep(AutogradContext* context, const Request& how);
Request kept(AutogradContext* context, const Tensor& qkv);

// The CPU's kernel, under autograd.
Tensor cpuAttention(const Tensor& qkv, const Request& how);

}  // namespace attending
