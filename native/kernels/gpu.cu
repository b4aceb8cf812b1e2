// Built by nvcc; or by a C++ compiler, to run on the CPU in tests (emulated-gpu.h).
#include "gpu.h"

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <string>

#define UNROLL _Pragma("unroll")

namespace {
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, gpu::Stream stream, Arguments... arguments) {
  if (blocks == 0) return;
  kernel<<<static_cast<unsigned>(blocks), threads, 0, static_cast<cudaStream_t>(stream)>>>(arguments...);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) throw std::runtime_error(std::string("a GPU kernel did not start: ") + cudaGetErrorString(error));
}
}  // namespace
#else
#include "emulated-gpu.h"
#endif

namespace gpu {
namespace {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFu;

int64_t piecesOf(int64_t count, int64_t size) { return (count + size - 1) / size; }
// For kernels that count in 32 bits, which divide faster.
uint32_t shortOf(int64_t count) {
  if (count > UINT32_MAX) throw std::runtime_error("a tensor is too large for a GPU kernel; lower train.microBatchSize");
  return static_cast<uint32_t>(count);
}

// --- Elements ---
__device__ float load(float x) { return x; }
__device__ void store(float& y, float x) { y = x; }
#ifdef __CUDACC__
__device__ float load(Bfloat16 x) { return __bfloat162float(__ushort_as_bfloat16(x.bits)); }
__device__ float load(Half x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ void store(Bfloat16& y, float x) { y.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
__device__ void store(Half& y, float x) { y.bits = __half_as_ushort(__float2half_rn(x)); }
#else
float load(Bfloat16 x) { return emulated::fromBfloat16(x.bits); }
float load(Half x) { return emulated::fromHalf(x.bits); }
void store(Bfloat16& y, float x) { y.bits = emulated::toBfloat16(x); }
void store(Half& y, float x) { y.bits = emulated::toHalf(x); }
#endif

// Neighbours that a thread reads and writes at once: 16 bytes of them, or one.
template <typename Element>
constexpr int kWide = 16 / static_cast<int>(sizeof(Element));
template <typename Element, int Count>
struct alignas(sizeof(Element) * Count) Pack {
  Element x[Count];
};
template <int Count, typename Element>
__device__ Pack<Element, Count> loadPack(const Element* x) {
  return *reinterpret_cast<const Pack<Element, Count>*>(x);
}
template <int Count, typename Element>
__device__ void storePack(Element* y, const Pack<Element, Count>& pack) {
  *reinterpret_cast<Pack<Element, Count>*>(y) = pack;
}
// Whether rows with this start, length and distance can be read and written in packs.
template <typename Element>
bool isWide(std::initializer_list<const void*> rows, std::initializer_list<int64_t> lengths) {
  for (const void* row : rows)
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) return false;
  for (const int64_t length : lengths)
    if (length % kWide<Element> != 0) return false;
  return true;
}

// --- Sums over threads, in one order always ---
__device__ float sumOfWarp(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset);
  return x;
}

// The sums of two numbers over all threads of a block of `Threads`, for each of them.
struct Two {
  float a, b;
};
template <int Threads>
__device__ Two sumOfBlock(Two x) {
  __shared__ Two parts[Threads / kWarp];
  x = {sumOfWarp(x.a), sumOfWarp(x.b)};
  __syncthreads();  // the sums before these are read
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = x;
  __syncthreads();
  Two sum{0, 0};
  for (const Two& part : parts) sum = {sum.a + part.a, sum.b + part.b};
  return sum;
}

// --- Dropout ---
struct Words {
  uint32_t all[4];
  // The i-th of eight 16-bit words.
  __device__ uint32_t operator[](int i) const { return all[i / 2] >> (i % 2 * 16) & 0xFFFFu; }
};

// Philox4x32-10 (Salmon et al. 2011).
__device__ Words philox(uint64_t counter, uint64_t seed) {
  uint32_t a = static_cast<uint32_t>(counter), b = static_cast<uint32_t>(counter >> 32), c = 0, d = 0;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  UNROLL
  for (int round = 0; round < 10; round++) {
    const uint64_t p = uint64_t{0xD2511F53u} * a, q = uint64_t{0xCD9E8D57u} * c;
    a = static_cast<uint32_t>(q >> 32) ^ b ^ k0;
    b = static_cast<uint32_t>(q);
    c = static_cast<uint32_t>(p >> 32) ^ d ^ k1;
    d = static_cast<uint32_t>(p);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

// By the layout of philox.h, a thread's block of Philox has the words of eight elements, 16 apart in a chunk of 128. A warp draws two
// chunks; then each thread gets what was drawn for eight neighbours: bit i of the result says whether the i-th is kept.
constexpr int kDropoutThreads = 256, kNeighbours = 8;
__device__ uint32_t keptNeighbours(int64_t counter, Dropout how) {
  if (how.threshold == 0) return 0xFFu;
  const Words words = philox(static_cast<uint64_t>(counter), how.seed);
  const unsigned lane = threadIdx.x % kWarp, ownWord = lane % 16 / 2, shift = lane / 16 * 16 + lane % 2 * 8;
  uint32_t own = 0;
  UNROLL
  for (unsigned word = 0; word < 8; word++) {
    const uint32_t kept = __ballot_sync(kAllLanes, words[static_cast<int>(word)] >= how.threshold);
    if (word == ownWord) own = kept >> shift & 0xFFu;
  }
  return own;
}
int64_t dropoutBlocks(int64_t count, Dropout how) {
  return count == 0 ? 0 : piecesOf(piecesOf(how.first % 128 + count, 128) * 16, kDropoutThreads);
}
// Calls body(i, kept, n) for the n neighbours from i on that a thread has, bits saying which of them are kept: all eight where `IsWide`,
// else one at a time.
template <bool IsWide, typename Body>
__device__ void overNeighbours(int64_t count, Dropout how, Body body) {
  const int64_t counter = how.first / 128 * 16 + static_cast<int64_t>(blockIdx.x) * kDropoutThreads + threadIdx.x;
  const uint32_t kept = keptNeighbours(counter, how);
  const int64_t first = counter * kNeighbours - how.first;
  if (IsWide) {
    if (first >= 0 && first < count) body(first, kept, std::integral_constant<int, kNeighbours>());
  } else {
    for (int i = 0; i < kNeighbours; i++)
      if (first + i >= 0 && first + i < count) body(first + i, kept >> i, std::integral_constant<int, 1>());
  }
}

template <bool IsWide, typename From, typename Into>
__global__ void dropoutKernel(const From* __restrict__ x, Into* __restrict__ y, int64_t count, Dropout how) {
  overNeighbours<IsWide>(count, how, [=](int64_t at, uint32_t kept, auto number) {
    constexpr int size = decltype(number)::value;
    const auto from = loadPack<size>(x + at);
    Pack<Into, size> into;
    UNROLL
    for (int i = 0; i < size; i++) store(into.x[i], kept >> i & 1u ? load(from.x[i]) * how.scale : 0.f);
    storePack<size>(y + at, into);
  });
}
template <bool IsWide, typename Element>
__global__ void addDropoutKernel(const float* __restrict__ x, const Element* __restrict__ branch, float* __restrict__ y, int64_t count,
                                 Dropout how) {
  overNeighbours<IsWide>(count, how, [=](int64_t at, uint32_t kept, auto number) {
    constexpr int size = decltype(number)::value;
    auto sum = loadPack<size>(x + at);
    const auto added = loadPack<size>(branch + at);
    UNROLL
    for (int i = 0; i < size; i++) sum.x[i] += kept >> i & 1u ? load(added.x[i]) * how.scale : 0.f;
    storePack<size>(y + at, sum);
  });
}
// Whether eight neighbours lie together in the stream of words and in memory.
bool areTogether(std::initializer_list<const void*> tensors, int64_t count, Dropout how) {
  for (const void* tensor : tensors)
    if (reinterpret_cast<uintptr_t>(tensor) % (kNeighbours * sizeof(float)) != 0) return false;
  return count % kNeighbours == 0 && how.first % kNeighbours == 0;
}

// --- Gated activations ---
__device__ float normalOf(float x) { return 0.5f * erfcf(-0.7071067812f * x); }
template <Activation f>
__device__ float valueOf(float x) {
  if (f == Activation::silu) return x / (1 + expf(-x));
  if (f == Activation::gelu) return x * normalOf(x);
  return x / (1 + expf(-1.5957691216f * (x + 0.044715f * x * x * x)));
}
template <Activation f>
__device__ float derivativeOf(float x) {
  if (f == Activation::gelu) return normalOf(x) + x * 0.3989422804f * expf(-0.5f * x * x);
  const bool isSilu = f == Activation::silu;
  const float u = isSilu ? x : 1.5957691216f * (x + 0.044715f * x * x * x);
  const float slope = isSilu ? 1.f : 1.5957691216f * (1 + 0.134145f * x * x);
  const float s = 1 / (1 + expf(-u));
  return s + x * s * (1 - s) * slope;
}

// A thread has `Count` neighbours of a row of y.
constexpr int kGatedThreads = 256;
template <Activation f, int Count, typename Element>
__global__ void gatedKernel(const Element* __restrict__ x, Element* __restrict__ y, uint32_t packs, uint32_t packsOfRow) {
  const uint32_t pack = blockIdx.x * kGatedThreads + threadIdx.x;
  if (pack >= packs) return;
  const int64_t row = pack / packsOfRow, width = static_cast<int64_t>(packsOfRow) * Count;
  const int64_t at = row * 2 * width + static_cast<int64_t>(pack % packsOfRow) * Count;
  const auto a = loadPack<Count>(x + at), b = loadPack<Count>(x + at + width);
  Pack<Element, Count> result;
  UNROLL
  for (int i = 0; i < Count; i++) store(result.x[i], valueOf<f>(load(a.x[i])) * load(b.x[i]));
  storePack<Count>(y + static_cast<int64_t>(pack) * Count, result);
}
template <Activation f, int Count, typename Element>
__global__ void gatedBackwardKernel(const Element* __restrict__ x, const Element* __restrict__ dy, Element* __restrict__ dx, uint32_t packs,
                                    uint32_t packsOfRow) {
  const uint32_t pack = blockIdx.x * kGatedThreads + threadIdx.x;
  if (pack >= packs) return;
  const int64_t row = pack / packsOfRow, width = static_cast<int64_t>(packsOfRow) * Count;
  const int64_t at = row * 2 * width + static_cast<int64_t>(pack % packsOfRow) * Count;
  const auto a = loadPack<Count>(x + at), b = loadPack<Count>(x + at + width), d = loadPack<Count>(dy + static_cast<int64_t>(pack) * Count);
  Pack<Element, Count> da, db;
  UNROLL
  for (int i = 0; i < Count; i++) {
    store(da.x[i], load(d.x[i]) * load(b.x[i]) * derivativeOf<f>(load(a.x[i])));
    store(db.x[i], load(d.x[i]) * valueOf<f>(load(a.x[i])));
  }
  storePack<Count>(dx + at, da);
  storePack<Count>(dx + at + width, db);
}

// --- Rotary positions ---
// A thread has `Count` neighbouring pairs of a head.
constexpr int kTurnThreads = 256;
template <int Count, typename Element>
__global__ void sideBySideKernel(Part<Element> q, Part<Element> k, Part<Element> v, Element* __restrict__ y, uint32_t packs,
                                 uint32_t packsOfHead, Turn how) {
  const uint32_t pack = blockIdx.x * kTurnThreads + threadIdx.x;
  if (pack >= packs) return;
  const auto turned = static_cast<uint32_t>(q.heads + k.heads), heads = turned + static_cast<uint32_t>(v.heads);
  const uint32_t head = pack / packsOfHead % heads, token = pack / packsOfHead / heads, first = pack % packsOfHead * Count;
  const Part<Element>& part = head < q.heads ? q : head < turned ? k : v;
  const int64_t headOfPart = head - (head < q.heads ? 0 : head < turned ? q.heads : turned), half = static_cast<int64_t>(packsOfHead) * Count;
  const Element* from = part.x + token * part.stride + headOfPart * 2 * half + first;
  auto a = loadPack<Count>(from), b = loadPack<Count>(from + half);
  if (how.cosines && head < turned) {
    const int64_t position = how.positions ? how.positions[token] : token % static_cast<uint32_t>(how.length);
    const int64_t angle = position * half + first;
    UNROLL
    for (int i = 0; i < Count; i++) {
      const float c = how.cosines[angle + i], s = how.direction * how.sines[angle + i], x = load(a.x[i]), z = load(b.x[i]);
      store(a.x[i], x * c - z * s);
      store(b.x[i], z * c + x * s);
    }
  }
  Element* into = y + (static_cast<int64_t>(token) * heads + head) * 2 * half + first;
  storePack<Count>(into, a);
  storePack<Count>(into + half, b);
}

// --- Layer normalisation and RMSNorm ---
// A warp has a row, in registers: its lanes have every 32nd pack of it, `Packs` at most.
constexpr int kNormRows = 4;  // of a block
constexpr int64_t kNarrow = 32 * kWarp;
template <int Packs, int Count, typename Element>
__global__ void normKernel(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
                           Element* __restrict__ y, float* mean, float* rstd, Norm how) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kNormRows + threadIdx.x / kWarp;
  if (row >= how.rows) return;
  const int width = static_cast<int>(how.width), lane = threadIdx.x % kWarp;
  x += row * width;
  y += row * width;
  const auto columnOf = [=](int k) { return (lane + k * kWarp) * Count; };
  Pack<float, Count> held[Packs];
  float sum = 0, squares = 0;
  UNROLL
  for (int k = 0; k < Packs; k++) held[k] = columnOf(k) < width ? loadPack<Count>(x + columnOf(k)) : Pack<float, Count>{};
  if (how.centers) {
    UNROLL
    for (int k = 0; k < Packs; k++) {
      UNROLL
      for (int j = 0; j < Count; j++) sum += held[k].x[j];
    }
  }
  const float m = sumOfWarp(sum) / static_cast<float>(width);
  UNROLL
  for (int k = 0; k < Packs; k++) {
    UNROLL
    for (int j = 0; j < Count; j++) squares += columnOf(k) < width ? (held[k].x[j] - m) * (held[k].x[j] - m) : 0.f;
  }
  const float r = 1 / sqrtf(sumOfWarp(squares) / static_cast<float>(width) + how.eps);
  UNROLL
  for (int k = 0; k < Packs; k++) {
    if (columnOf(k) >= width) continue;
    const auto w = loadPack<Count>(weight + columnOf(k));
    const auto b = bias ? loadPack<Count>(bias + columnOf(k)) : Pack<float, Count>{};
    Pack<Element, Count> result;
    UNROLL
    for (int j = 0; j < Count; j++) store(result.x[j], (held[k].x[j] - m) * r * w.x[j] + b.x[j]);
    storePack<Count>(y + columnOf(k), result);
  }
  if (lane == 0) {
    mean[row] = m;
    rstd[row] = r;
  }
}
template <typename Element>
__global__ void wideNormKernel(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how) {
  const int64_t width = how.width;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kNormRows + threadIdx.x / kWarp;
  if (row >= how.rows) return;
  const int lane = threadIdx.x % kWarp;
  x += row * width;
  y += row * width;
  float sum = 0, squares = 0;
  if (how.centers)
    for (int64_t i = lane; i < width; i += kWarp) sum += x[i];
  const float m = sumOfWarp(sum) / static_cast<float>(width);
  for (int64_t i = lane; i < width; i += kWarp) squares += (x[i] - m) * (x[i] - m);
  const float r = 1 / sqrtf(sumOfWarp(squares) / static_cast<float>(width) + how.eps);
  for (int64_t i = lane; i < width; i += kWarp) store(y[i], (x[i] - m) * r * weight[i] + (bias ? bias[i] : 0.f));
  if (lane == 0) {
    mean[row] = m;
    rstd[row] = r;
  }
}

// dx, and what a block's piece of the rows adds to weight and bias. With x̂ = (x − mean)·rstd and g = dy·weight:
// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) where nothing is centred. Here too a warp has a row.
constexpr int kNormThreads = 256;
template <int Packs, int Count, typename Element>
__global__ void __launch_bounds__(kNormThreads, Packs * Count <= 24 ? 2 : 1)
    normBackwardKernel(const Element* __restrict__ dy, const float* __restrict__ x, const float* __restrict__ weight, const float* mean,
                       const float* rstd, const float* __restrict__ beside, float* __restrict__ dx, float* sums, Norm how) {
  constexpr int warps = kNormThreads / kWarp;
  const int64_t rows = how.rows, piece = blockIdx.x, pieces = gridDim.x;
  const int width = static_cast<int>(how.width), lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const auto columnOf = [=](int k) { return (lane + k * kWarp) * Count; };
  float dWeight[Packs][Count] = {}, dBias[Packs][Count] = {};
  for (int64_t row = rows * piece / pieces + warp; row < rows * (piece + 1) / pieces; row += warps) {
    const float m = mean[row], r = rstd[row];
    Pack<float, Count> xHat[Packs];
    Pack<Element, Count> given[Packs];
    UNROLL
    for (int k = 0; k < Packs; k++) {
      if (columnOf(k) >= width) continue;
      xHat[k] = loadPack<Count>(x + row * width + columnOf(k));
      given[k] = loadPack<Count>(dy + row * width + columnOf(k));
    }
    Two sum{0, 0};
    UNROLL
    for (int k = 0; k < Packs; k++) {
      if (columnOf(k) >= width) continue;
      const auto w = loadPack<Count>(weight + columnOf(k));
      UNROLL
      for (int j = 0; j < Count; j++) {
        const float d = load(given[k].x[j]), g = d * w.x[j];
        xHat[k].x[j] = (xHat[k].x[j] - m) * r;
        dWeight[k][j] += d * xHat[k].x[j];
        dBias[k][j] += d;
        sum = {sum.a + g, sum.b + g * xHat[k].x[j]};
      }
    }
    sum = {how.centers ? sumOfWarp(sum.a) : 0, sumOfWarp(sum.b)};
    UNROLL
    for (int k = 0; k < Packs; k++) {
      if (columnOf(k) >= width) continue;
      const auto w = loadPack<Count>(weight + columnOf(k));
      auto result = beside ? loadPack<Count>(beside + row * width + columnOf(k)) : Pack<float, Count>{};
      UNROLL
      for (int j = 0; j < Count; j++)
        result.x[j] += r * (load(given[k].x[j]) * w.x[j] - (sum.a + xHat[k].x[j] * sum.b) / static_cast<float>(width));
      storePack<Count>(dx + row * width + columnOf(k), result);
    }
  }
  // The warps of the block, in their order.
  __shared__ float all[warps][Packs * Count * kWarp];
  for (int isBias = 0; isBias < 2; isBias++) {
    __syncthreads();
    UNROLL
    for (int k = 0; k < Packs; k++) {
      UNROLL
      for (int j = 0; j < Count; j++) all[warp][columnOf(k) + j] = isBias ? dBias[k][j] : dWeight[k][j];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < width; i += kNormThreads) {
      float sum = 0;
      for (int w = 0; w < warps; w++) sum += all[w][i];
      sums[(piece * 2 + isBias) * width + i] = sum;
    }
  }
}
// Wide rows: a block has one, each thread the same columns in all of them.
template <int Columns, typename Element>
__global__ void wideNormBackwardKernel(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd,
                                       const float* beside, float* dx, float* sums, Norm how) {
  const int64_t rows = how.rows, width = how.width;
  const int64_t piece = blockIdx.x, pieces = gridDim.x;
  float dWeight[Columns] = {}, dBias[Columns] = {};
  for (int64_t row = rows * piece / pieces; row < rows * (piece + 1) / pieces; row++) {
    const float m = mean[row], r = rstd[row];
    float xHat[Columns] = {}, g[Columns] = {};
    Two sum{0, 0};
    UNROLL
    for (int k = 0; k < Columns; k++) {
      const int64_t column = threadIdx.x + static_cast<int64_t>(k) * kNormThreads;
      if (column >= width) continue;
      const float d = load(dy[row * width + column]);
      xHat[k] = (x[row * width + column] - m) * r;
      g[k] = d * weight[column];
      dWeight[k] += d * xHat[k];
      dBias[k] += d;
      sum = {sum.a + g[k], sum.b + g[k] * xHat[k]};
    }
    sum = sumOfBlock<kNormThreads>(sum);
    if (!how.centers) sum.a = 0;
    UNROLL
    for (int k = 0; k < Columns; k++) {
      const int64_t column = threadIdx.x + static_cast<int64_t>(k) * kNormThreads;
      if (column >= width) continue;
      const float other = beside ? beside[row * width + column] : 0.f;
      dx[row * width + column] = other + r * (g[k] - (sum.a + xHat[k] * sum.b) / static_cast<float>(width));
    }
  }
  UNROLL
  for (int k = 0; k < Columns; k++) {
    const int64_t column = threadIdx.x + static_cast<int64_t>(k) * kNormThreads;
    if (column >= width) continue;
    sums[piece * 2 * width + column] = dWeight[k];
    sums[(piece * 2 + 1) * width + column] = dBias[k];
  }
}

// --- Cross-entropy ---
__device__ float largestOfWarp(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, offset));
  return x;
}
template <int Threads>
__device__ float largestOfBlock(float x) {
  __shared__ float parts[Threads / kWarp];
  x = largestOfWarp(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = x;
  __syncthreads();
  for (const float part : parts) x = fmaxf(x, part);
  return x;
}

// A block has a row, read once: its threads hold the first `Packs` packs each in registers. What is behind those is read again.
constexpr int kLossThreads = 512;
template <int Packs, int Count, typename Element>
__global__ void __launch_bounds__(kLossThreads) crossEntropyKernel(const float* __restrict__ x, const float* __restrict__ bias,
                                                                   const int64_t* target, Element* dx, float* loss, float* hit, int classes,
                                                                   int64_t stride) {
  const int64_t row = blockIdx.x, label = target[row];
  x += row * stride;
  const auto logit = [=](int64_t i) { return bias ? x[i] + bias[i] : x[i]; };
  // A class out of range has no logit: its loss is not finite, and the step is not applied.
  const float at = label >= 0 && label < classes ? logit(label) : NAN;
  const int first = static_cast<int>(threadIdx.x), whole = classes / Count < Packs * kLossThreads ? classes / Count : Packs * kLossThreads;
  Pack<float, Count> held[Packs];
  const auto packOf = [=](int k) { return first + k * kLossThreads; };
  UNROLL
  for (int k = 0; k < Packs; k++) held[k] = loadPack<Count>(x + (packOf(k) < whole ? packOf(k) : 0) * Count);
  if (bias) {
    UNROLL
    for (int k = 0; k < Packs; k++) {
      const auto addend = loadPack<Count>(bias + (packOf(k) < whole ? packOf(k) : 0) * Count);
      UNROLL
      for (int j = 0; j < Count; j++) held[k].x[j] += addend.x[j];
    }
  }
  float top = -INFINITY, better = 0;  // classes with a larger logit, or with the same and a smaller number
  const auto look = [&](float z, int i) {
    top = fmaxf(top, z);
    if (!(z < at) && (z != at || i < label)) better = 1;
  };
  UNROLL
  for (int k = 0; k < Packs; k++) {
    UNROLL
    for (int j = 0; j < Count; j++) {
      if (packOf(k) < whole)
        look(held[k].x[j], packOf(k) * Count + j);
      else
        held[k].x[j] = -INFINITY;
    }
  }
  const int rest = whole * Count + first;
  for (int i = rest; i < classes; i += kLossThreads) look(logit(i), i);
  top = largestOfBlock<kLossThreads>(top);
  float sum = 0;
  UNROLL
  for (int k = 0; k < Packs; k++) {
    UNROLL
    for (int j = 0; j < Count; j++) {
      held[k].x[j] = expf(held[k].x[j] - top);
      sum += held[k].x[j];
    }
  }
  for (int i = rest; i < classes; i += kLossThreads) sum += expf(logit(i) - top);
  const Two all = sumOfBlock<kLossThreads>({sum, better});
  if (threadIdx.x == 0) {
    loss[row] = top + logf(all.a) - at;
    hit[row] = all.b == 0 ? 1.f : 0.f;
  }
  if (dx == nullptr) return;
  dx += row * stride;
  const float share = 1 / all.a;
  // Where dx is x: others have read what is written here, all but the rest, which each reads for itself.
  UNROLL
  for (int k = 0; k < Packs; k++) {
    Pack<Element, Count> gradient;
    UNROLL
    for (int j = 0; j < Count; j++) store(gradient.x[j], held[k].x[j] * share - (packOf(k) * Count + j == label ? 1.f : 0.f));
    if (packOf(k) < whole) storePack<Count>(dx + packOf(k) * Count, gradient);
  }
  for (int i = rest; i < classes; i += kLossThreads) store(dx[i], expf(logit(i) - top) * share - (i == label ? 1.f : 0.f));
  for (int64_t i = classes + first; i < stride; i += kLossThreads) store(dx[i], 0.f);
}

// --- Sums of rows ---
// A block has some neighbouring columns of its piece of the rows, a warp every eighth row, a lane `Count` columns.
constexpr int kSumThreads = 256;
template <int Count, typename Element>
__global__ void sumRowsKernel(const Element* __restrict__ x, float* __restrict__ y, int64_t rows, int64_t columns, int64_t stride,
                              int64_t pieces) {
  constexpr int warps = kSumThreads / kWarp;
  const int64_t piece = blockIdx.x % pieces, lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t column = (blockIdx.x / pieces * kWarp + lane) * Count;
  float sum[Count] = {};
  if (column < columns) {
#ifdef __CUDACC__
#pragma unroll 4
#endif
    for (int64_t row = rows * piece / pieces + warp; row < rows * (piece + 1) / pieces; row += warps) {
      const auto pack = loadPack<Count>(x + row * stride + column);
      UNROLL
      for (int i = 0; i < Count; i++) sum[i] += load(pack.x[i]);
    }
  }
  __shared__ float all[warps][kWarp * Count];
  UNROLL
  for (int i = 0; i < Count; i++) all[warp][lane * Count + i] = sum[i];
  __syncthreads();
  for (int64_t i = threadIdx.x; i < kWarp * Count; i += kSumThreads) {
    const int64_t into = blockIdx.x / pieces * kWarp * Count + i;
    float whole = 0;
    for (int w = 0; w < warps; w++) whole += all[w][i];
    if (into < columns) y[piece * columns + into] = whole;
  }
}

// --- Rows ---
// Rows are long, a whole sequence each: several blocks share one.
constexpr int kCopyThreads = 128;
constexpr int64_t kCopyParts = 8 * kCopyThreads;  // of a block
template <typename Part, bool IsPut>
__global__ void copyRowsKernel(const Part* __restrict__ x, const int64_t* index, Part* __restrict__ y, int64_t parts, int64_t pieces) {
  const int64_t row = blockIdx.x / pieces, start = blockIdx.x % pieces * kCopyParts;
  const int64_t from = IsPut ? row : index[row], into = IsPut ? index[row] : row;
  const int64_t stop = start + kCopyParts < parts ? start + kCopyParts : parts;
  for (int64_t i = start + threadIdx.x; i < stop; i += kCopyThreads) y[into * parts + i] = x[from * parts + i];
}

struct alignas(16) Sixteen {
  uint64_t halves[2];
};
template <bool IsPut>
void copyRows(const void* x, const int64_t* index, void* y, int64_t rows, int64_t bytes, Stream stream) {
  const auto run = [&](auto* part) {
    using Part = std::remove_pointer_t<decltype(part)>;
    const int64_t parts = bytes / static_cast<int64_t>(sizeof(Part)), pieces = piecesOf(parts, kCopyParts);
    launch(copyRowsKernel<Part, IsPut>, rows * pieces, kCopyThreads, stream, static_cast<const Part*>(x), index, static_cast<Part*>(y),
           parts, pieces);
  };
  const auto address = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y) | static_cast<uintptr_t>(bytes);
  if (address % sizeof(Sixteen) == 0)
    run(static_cast<Sixteen*>(nullptr));
  else
    run(static_cast<uint8_t*>(nullptr));
}

// --- Many tensors at once ---
// As many as a launch's arguments, 4 KiB on any GPU, have room for; the blocks of each come behind those of the one before.
template <typename Item, int Most>
struct Items {
  Item all[Most];
  int64_t firstBlock[Most];
  int number;

  // Which item a block works on.
  __device__ int at(int64_t block) const {
    int i = 0;
    while (i + 1 < number && firstBlock[i + 1] <= block) i++;
    return i;
  }
};
template <typename Item, int Most>
void launchItems(void (*kernel)(Items<Item, Most>), const std::vector<Item>& items, int threads, int64_t elementsOfBlock, Stream stream) {
  static_assert(sizeof(Items<Item, Most>) <= 4000, "the arguments of a kernel");
  for (size_t first = 0; first < items.size(); first += Most) {
    Items<Item, Most> some{};
    int64_t blocks = 0;
    for (; some.number < Most && first + some.number < items.size(); some.number++) {
      some.all[some.number] = items[first + some.number];
      some.firstBlock[some.number] = blocks;
      blocks += piecesOf(some.all[some.number].count, elementsOfBlock);
    }
    launch(kernel, blocks, threads, stream, some);
  }
}

constexpr int kCasts = 120, kCastThreads = 256, kCastElements = 16 * kCastThreads;  // of a block
template <typename Element>
__global__ void castKernel(Items<Cast, kCasts> casts) {
  const int c = casts.at(blockIdx.x);
  const Cast& cast = casts.all[c];
  const float* __restrict__ from = cast.from;
  auto* __restrict__ into = static_cast<Element*>(cast.into);
  const int64_t start = (static_cast<int64_t>(blockIdx.x) - casts.firstBlock[c]) * kCastElements;
  const bool isWide = (reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(into)) % 16 == 0 && start + kCastElements <= cast.count;
  if (isWide) {
    UNROLL
    for (int k = 0; k < kCastElements / kCastThreads / 4; k++) {
      const int64_t i = start + (threadIdx.x + k * kCastThreads) * 4;
      const auto pack = loadPack<4>(from + i);
      Pack<Element, 4> result;
      UNROLL
      for (int j = 0; j < 4; j++) store(result.x[j], pack.x[j]);
      storePack<4>(into + i, result);
    }
  } else {
    for (int64_t i = start + threadIdx.x; i < start + kCastElements && i < cast.count; i += kCastThreads) store(into[i], from[i]);
  }
}

// --- AdamW ---
constexpr int kUpdates = 32;
constexpr int kUpdateThreads = 256, kUpdateElements = 16 * kUpdateThreads;  // of a block
__global__ void adamwKernel(Items<Update, kUpdates> updates) {
  const int u = updates.at(blockIdx.x);
  const Update& update = updates.all[u];
  const AdamW& h = update.how;
  const float decay = 1 - h.learningRate * h.weightDecay, stepSize = h.learningRate / h.biasCorrection1;
  const float rootCorrection2 = sqrtf(h.biasCorrection2);
  const int64_t start = (static_cast<int64_t>(blockIdx.x) - updates.firstBlock[u]) * kUpdateElements;
  const int64_t stop = start + kUpdateElements < update.count ? start + kUpdateElements : update.count;
  constexpr int atOnce = 4;  // are read before one is written
  for (int64_t first = start + threadIdx.x; first < stop; first += atOnce * kUpdateThreads) {
    float p[atOnce], g[atOnce], m[atOnce], v[atOnce];
    UNROLL
    for (int k = 0; k < atOnce; k++) {
      const int64_t i = first + k * kUpdateThreads;
      if (i >= stop) continue;
      p[k] = update.parameter[i];
      g[k] = update.gradient[i] * h.gradientScale;
      m[k] = h.beta1 * update.moment[i] + h.newShare1 * g[k];
      v[k] = h.beta2 * update.variance[i] + h.newShare2 * g[k] * g[k];
    }
    UNROLL
    for (int k = 0; k < atOnce; k++) {
      const int64_t i = first + k * kUpdateThreads;
      if (i >= stop) continue;
      update.moment[i] = m[k];
      update.variance[i] = v[k];
      update.parameter[i] = p[k] * decay - stepSize * m[k] / (sqrtf(v[k]) / rootCorrection2 + h.epsilon);
    }
  }
}

}  // namespace

template <typename From, typename Into>
void dropout(const From* x, Into* y, int64_t count, Dropout how, Stream stream) {
  const auto kernel = areTogether({x, y}, count, how) ? dropoutKernel<true, From, Into> : dropoutKernel<false, From, Into>;
  launch(kernel, dropoutBlocks(count, how), kDropoutThreads, stream, x, y, count, how);
}

template <typename Element>
void addDropout(const float* x, const Element* branch, float* y, int64_t count, Dropout how, Stream stream) {
  const auto kernel = areTogether({x, branch, y}, count, how) ? addDropoutKernel<true, Element> : addDropoutKernel<false, Element>;
  launch(kernel, dropoutBlocks(count, how), kDropoutThreads, stream, x, branch, y, count, how);
}

// Calls body with the kernel of an activation, and how many neighbours a thread of it has.
template <typename Element, typename Body>
void withActivation(Activation f, bool wide, Body body) {
  const auto sized = [&](auto activation) {
    if (wide) return body(activation, std::integral_constant<int, kWide<Element>>());
    return body(activation, std::integral_constant<int, 1>());
  };
  switch (f) {
    case Activation::silu: return sized(std::integral_constant<Activation, Activation::silu>());
    case Activation::gelu: return sized(std::integral_constant<Activation, Activation::gelu>());
    case Activation::geluTanh: return sized(std::integral_constant<Activation, Activation::geluTanh>());
  }
}
template <typename Element>
void gated(Activation f, const Element* x, Element* y, int64_t rows, int64_t width, Stream stream) {
  withActivation<Element>(f, isWide<Element>({x, y}, {width}), [&](auto activation, auto count) {
    const int64_t packs = rows * width / count();
    launch(gatedKernel<activation(), count(), Element>, piecesOf(packs, kGatedThreads), kGatedThreads, stream, x, y,
           shortOf(packs), shortOf(width / count()));
  });
}
template <typename Element>
void gatedBackward(Activation f, const Element* x, const Element* dy, Element* dx, int64_t rows, int64_t width, Stream stream) {
  withActivation<Element>(f, isWide<Element>({x, dy, dx}, {width}), [&](auto activation, auto count) {
    const int64_t packs = rows * width / count();
    launch(gatedBackwardKernel<activation(), count(), Element>, piecesOf(packs, kGatedThreads), kGatedThreads, stream, x, dy, dx,
           shortOf(packs), shortOf(width / count()));
  });
}

template <typename Element>
void sideBySide(Part<Element> q, Part<Element> k, Part<Element> v, Element* y, int64_t tokens, int64_t headSize, Turn how, Stream stream) {
  const int64_t pairs = tokens * (q.heads + k.heads + v.heads) * headSize / 2;
  const auto run = [&](auto count) {
    launch(sideBySideKernel<count(), Element>, piecesOf(pairs / count(), kTurnThreads), kTurnThreads, stream, q, k, v, y,
           shortOf(pairs / count()), shortOf(headSize / 2 / count()), how);
  };
  if (isWide<Element>({q.x, k.x, v.x, y}, {headSize / 2, q.stride, k.stride, v.stride}))
    run(std::integral_constant<int, kWide<Element>>());
  else
    run(std::integral_constant<int, 1>());
}

// Calls body with how many packs a lane of a warp has of a row at most, and how large they are.
template <typename Body>
void withPacks(int64_t width, bool wide, Body body) {
  const auto sized = [&](auto columns) {
    constexpr int count = kWide<float>;
    if (wide) return body(std::integral_constant<int, columns() / count>(), std::integral_constant<int, count>());
    return body(columns, std::integral_constant<int, 1>());
  };
  if (width <= 8 * kWarp) return sized(std::integral_constant<int, 8>());
  if (width <= 16 * kWarp) return sized(std::integral_constant<int, 16>());
  if (width <= 24 * kWarp) return sized(std::integral_constant<int, 24>());
  return sized(std::integral_constant<int, 32>());
}
template <typename Element>
void norm(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how, Stream stream) {
  const auto run = [&](auto* kernel) {
    launch(kernel, piecesOf(how.rows, kNormRows), kNormRows * kWarp, stream, x, weight, bias, y, mean, rstd, how);
  };
  if (how.width > kNarrow) return run(wideNormKernel<Element>);
  withPacks(how.width, isWide<float>({x, weight, bias, y}, {how.width}),
            [&](auto packs, auto count) { run(normKernel<packs(), count(), Element>); });
}

template <typename Element>
void normBackward(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, const float* beside,
                  float* dx, float* sums, Norm how, int64_t pieces, Stream stream) {
  const auto run = [&](auto* kernel) {
    launch(kernel, pieces, kNormThreads, stream, dy, x, weight, mean, rstd, beside, dx, sums, how);
  };
  if (how.width > kNarrow) return run(wideNormBackwardKernel<widestNorm / kNormThreads, Element>);
  withPacks(how.width, isWide<float>({dy, x, weight, beside, dx}, {how.width}),
            [&](auto packs, auto count) { run(normBackwardKernel<packs(), count(), Element>); });
}

template <typename Element>
void crossEntropy(const float* x, const float* bias, const int64_t* target, Element* dx, float* loss, float* hit, int64_t rows,
                  int64_t classes, int64_t stride, Stream stream) {
  const auto run = [&](auto* kernel) {
    launch(kernel, rows, kLossThreads, stream, x, bias, target, dx, loss, hit, static_cast<int>(classes), stride);
  };
  constexpr int count = kWide<float>;
  if (classes < count || !isWide<float>({x, bias, dx}, {stride})) return run(crossEntropyKernel<16, 1, Element>);
  const int64_t packs = piecesOf(classes, count * kLossThreads);
  if (packs <= 4) return run(crossEntropyKernel<4, count, Element>);
  if (packs <= 16) return run(crossEntropyKernel<16, count, Element>);
  run(crossEntropyKernel<22, count, Element>);
}

template <typename Element>
void sumRows(const Element* x, float* y, int64_t rows, int64_t columns, int64_t stride, int64_t pieces, Stream stream) {
  const auto run = [&](auto count) {
    launch(sumRowsKernel<count(), Element>, piecesOf(columns, kWarp * count()) * pieces, kSumThreads, stream, x, y, rows, columns, stride,
           pieces);
  };
  if (isWide<Element>({x}, {columns, stride}))
    run(std::integral_constant<int, kWide<Element>>());
  else
    run(std::integral_constant<int, 1>());
}

void takeRows(const void* x, const int64_t* index, void* y, int64_t rows, int64_t bytes, Stream stream) {
  copyRows<false>(x, index, y, rows, bytes, stream);
}
void putRows(const void* x, const int64_t* index, void* y, int64_t rows, int64_t bytes, Stream stream) {
  copyRows<true>(x, index, y, rows, bytes, stream);
}

template <typename Element>
void cast(const std::vector<Cast>& casts, const Element*, Stream stream) {
  launchItems(castKernel<Element>, casts, kCastThreads, kCastElements, stream);
}

void adamw(const std::vector<Update>& updates, Stream stream) {
  launchItems(adamwKernel, updates, kUpdateThreads, kUpdateElements, stream);
}

#define FOR_ELEMENT(Element)                                                                                                              \
  template void dropout(const Element*, Element*, int64_t, Dropout, Stream);                                                              \
  template void addDropout(const float*, const Element*, float*, int64_t, Dropout, Stream);                                               \
  template void gated(Activation, const Element*, Element*, int64_t, int64_t, Stream);                                                    \
  template void gatedBackward(Activation, const Element*, const Element*, Element*, int64_t, int64_t, Stream);                            \
  template void sideBySide(Part<Element>, Part<Element>, Part<Element>, Element*, int64_t, int64_t, Turn, Stream);                         \
  template void norm(const float*, const float*, const float*, Element*, float*, float*, Norm, Stream);                                   \
  template void normBackward(const Element*, const float*, const float*, const float*, const float*, const float*, float*, float*, Norm,  \
                             int64_t, Stream);                                                                                                     \
  template void crossEntropy(const float*, const float*, const int64_t*, Element*, float*, float*, int64_t, int64_t, int64_t, Stream);     \
  template void sumRows(const Element*, float*, int64_t, int64_t, int64_t, int64_t, Stream);                                             \
  template void cast(const std::vector<Cast>&, const Element*, Stream);
FOR_ELEMENT(float)
FOR_ELEMENT(Bfloat16)
FOR_ELEMENT(Half)
template void dropout(const float*, Bfloat16*, int64_t, Dropout, Stream);
template void dropout(const float*, Half*, int64_t, Dropout, Stream);

}  // namespace gpu
