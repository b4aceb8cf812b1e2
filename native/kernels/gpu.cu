// Built by nvcc; or by a C++ compiler, to run on the CPU in tests (emulated-gpu.h).
#include "gpu.h"

#include <initializer_list>
#include <type_traits>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdexcept>
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
// Whether rows that begin there, and are so many elements long or apart, are read and written so.
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

// A thread draws one block of Philox: by the layout of philox.h the words of eight elements, 16 apart, in a chunk of 128.
// Calls body(element, whether it is kept) for those that are there.
constexpr int kDropoutThreads = 256;
template <typename Body>
__device__ void overElements(int64_t count, Dropout how, Body body) {
  const int64_t counter = how.first / 128 * 16 + static_cast<int64_t>(blockIdx.x) * kDropoutThreads + threadIdx.x;
  const int64_t start = counter / 16 * 128 + counter % 16 - how.first;
  const Words words = how.threshold ? philox(static_cast<uint64_t>(counter), how.seed) : Words{};
  UNROLL
  for (int i = 0; i < 8; i++) {
    const int64_t element = start + 16 * i;
    if (element >= 0 && element < count) body(element, words[i] >= how.threshold);
  }
}
int64_t dropoutBlocks(int64_t count, Dropout how) {
  return count == 0 ? 0 : piecesOf(piecesOf(how.first % 128 + count, 128) * 16, kDropoutThreads);
}

template <typename From, typename Into>
__global__ void dropoutKernel(const From* __restrict__ x, Into* __restrict__ y, int64_t count, Dropout how) {
  overElements(count, how, [=](int64_t i, bool isKept) { store(y[i], isKept ? load(x[i]) * how.scale : 0.f); });
}
template <typename Element>
__global__ void addDropoutKernel(const float* __restrict__ x, const Element* __restrict__ branch, float* __restrict__ y, int64_t count,
                                 Dropout how) {
  overElements(count, how, [=](int64_t i, bool isKept) { y[i] = x[i] + (isKept ? load(branch[i]) * how.scale : 0.f); });
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
// A warp has a row, its lanes every 32nd column of it: in registers where there are at most `Columns`.
constexpr int kNormRows = 4;  // of a block
constexpr int64_t kNarrow = 32 * kWarp;
template <int Columns, typename Element>
__global__ void normKernel(const float* __restrict__ x, const float* weight, const float* bias, Element* __restrict__ y, float* mean,
                           float* rstd, Norm how) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kNormRows + threadIdx.x / kWarp;
  if (row >= how.rows) return;
  const int width = static_cast<int>(how.width), lane = threadIdx.x % kWarp;
  x += row * width;
  y += row * width;
  float held[Columns];
  float sum = 0, squares = 0;
  UNROLL
  for (int k = 0; k < Columns; k++) held[k] = lane + k * kWarp < width ? x[lane + k * kWarp] : 0.f;
  if (how.centers) {
    UNROLL
    for (int k = 0; k < Columns; k++) sum += held[k];
  }
  const float m = sumOfWarp(sum) / static_cast<float>(width);
  UNROLL
  for (int k = 0; k < Columns; k++) squares += lane + k * kWarp < width ? (held[k] - m) * (held[k] - m) : 0.f;
  const float r = 1 / sqrtf(sumOfWarp(squares) / static_cast<float>(width) + how.eps);
  UNROLL
  for (int k = 0; k < Columns; k++) {
    const int i = lane + k * kWarp;
    if (i < width) store(y[i], (held[k] - m) * r * weight[i] + (bias ? bias[i] : 0.f));
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
// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) where nothing is centered. Here too a warp has a row.
constexpr int kNormThreads = 256;
template <int Columns, typename Element>
__global__ void __launch_bounds__(kNormThreads, Columns <= 24 ? 2 : 1) normBackwardKernel(const Element* __restrict__ dy, const float* __restrict__ x, const float* weight, const float* mean,
                                   const float* rstd, float* __restrict__ dx, float* sums, Norm how) {
  constexpr int warps = kNormThreads / kWarp;
  const int64_t rows = how.rows, piece = blockIdx.x, pieces = gridDim.x;
  const int width = static_cast<int>(how.width), lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float dWeight[Columns] = {}, dBias[Columns] = {};
  for (int64_t row = rows * piece / pieces + warp; row < rows * (piece + 1) / pieces; row += warps) {
    const float m = mean[row], r = rstd[row];
    float xHat[Columns], g[Columns];
    UNROLL
    for (int k = 0; k < Columns; k++) {
      const int i = lane + k * kWarp;
      xHat[k] = i < width ? x[row * width + i] : m;
      g[k] = i < width ? load(dy[row * width + i]) : 0.f;
    }
    Two sum{0, 0};
    UNROLL
    for (int k = 0; k < Columns; k++) {
      xHat[k] = (xHat[k] - m) * r;
      dWeight[k] += g[k] * xHat[k];
      dBias[k] += g[k];
      const int i = lane + k * kWarp;
      g[k] *= i < width ? weight[i] : 0.f;
      sum = {sum.a + g[k], sum.b + g[k] * xHat[k]};
    }
    sum = {how.centers ? sumOfWarp(sum.a) : 0, sumOfWarp(sum.b)};
    UNROLL
    for (int k = 0; k < Columns; k++) {
      const int i = lane + k * kWarp;
      if (i < width) dx[row * width + i] = r * (g[k] - (sum.a + xHat[k] * sum.b) / static_cast<float>(width));
    }
  }
  // The warps of the block, in their order.
  __shared__ float all[warps][Columns * kWarp];
  for (int isBias = 0; isBias < 2; isBias++) {
    __syncthreads();
    UNROLL
    for (int k = 0; k < Columns; k++) all[warp][lane + k * kWarp] = isBias ? dBias[k] : dWeight[k];
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
__global__ void wideNormBackwardKernel(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
                                   float* sums, Norm how) {
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
      if (column < width) dx[row * width + column] = r * (g[k] - (sum.a + xHat[k] * sum.b) / static_cast<float>(width));
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

// A block has a row: the first logits of each thread in registers, those of longer rows are read again.
constexpr int kLossThreads = 512;
template <int Held, typename Element>
__global__ void __launch_bounds__(kLossThreads) crossEntropyKernel(const float* x, const float* bias, const int64_t* target, Element* dx,
                                                                   float* loss, float* hit, int64_t classes, int64_t stride) {
  const int64_t row = blockIdx.x, label = target[row];
  x += row * stride;
  const auto logit = [=](int64_t i) { return bias ? x[i] + bias[i] : x[i]; };
  // A class that is not there has no logit: its loss is not finite, and the step is not applied.
  const float at = label >= 0 && label < classes ? logit(label) : NAN;
  const int64_t first = threadIdx.x, rest = first + static_cast<int64_t>(Held) * kLossThreads;
  float held[Held], top = -INFINITY, better = 0;  // classes with a larger logit, or with the same and a smaller number
  const auto look = [&](float z, int64_t i) {
    top = fmaxf(top, z);
    if (!(z < at) && (z != at || i < label)) better = 1;
  };
  UNROLL
  for (int k = 0; k < Held; k++) {
    const int64_t i = first + static_cast<int64_t>(k) * kLossThreads;
    held[k] = i < classes ? logit(i) : -INFINITY;
    if (i < classes) look(held[k], i);
  }
  for (int64_t i = rest; i < classes; i += kLossThreads) look(logit(i), i);
  top = largestOfBlock<kLossThreads>(top);
  float sum = 0;
  UNROLL
  for (int k = 0; k < Held; k++) {
    held[k] = expf(held[k] - top);
    sum += held[k];
  }
  for (int64_t i = rest; i < classes; i += kLossThreads) sum += expf(logit(i) - top);
  const Two all = sumOfBlock<kLossThreads>({sum, better});
  if (threadIdx.x == 0) {
    loss[row] = top + logf(all.a) - at;
    hit[row] = all.b == 0 ? 1.f : 0.f;
  }
  if (dx == nullptr) return;
  dx += row * stride;
  const float share = 1 / all.a;
  UNROLL
  for (int k = 0; k < Held; k++) {
    const int64_t i = first + static_cast<int64_t>(k) * kLossThreads;
    if (i < classes) store(dx[i], held[k] * share - (i == label ? 1.f : 0.f));
  }
  for (int64_t i = rest; i < classes; i += kLossThreads) store(dx[i], expf(logit(i) - top) * share - (i == label ? 1.f : 0.f));
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

// --- AdamW ---
// As many tensors as a launch's arguments, 4 KiB on any GPU, have room for.
constexpr int kUpdates = 32;
constexpr int kUpdateThreads = 256, kUpdateElements = 16 * kUpdateThreads;  // of a block
struct Updates {
  Update all[kUpdates];
  int64_t firstBlock[kUpdates];
  int number;
};
static_assert(sizeof(Updates) <= 4000, "the arguments of a kernel");

__global__ void adamwKernel(Updates updates) {
  int u = 0;
  while (u + 1 < updates.number && updates.firstBlock[u + 1] <= static_cast<int64_t>(blockIdx.x)) u++;
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
  launch(dropoutKernel<From, Into>, dropoutBlocks(count, how), kDropoutThreads, stream, x, y, count, how);
}

template <typename Element>
void addDropout(const float* x, const Element* branch, float* y, int64_t count, Dropout how, Stream stream) {
  launch(addDropoutKernel<Element>, dropoutBlocks(count, how), kDropoutThreads, stream, x, branch, y, count, how);
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
           static_cast<uint32_t>(packs), static_cast<uint32_t>(width / count()));
  });
}
template <typename Element>
void gatedBackward(Activation f, const Element* x, const Element* dy, Element* dx, int64_t rows, int64_t width, Stream stream) {
  withActivation<Element>(f, isWide<Element>({x, dy, dx}, {width}), [&](auto activation, auto count) {
    const int64_t packs = rows * width / count();
    launch(gatedBackwardKernel<activation(), count(), Element>, piecesOf(packs, kGatedThreads), kGatedThreads, stream, x, dy, dx,
           static_cast<uint32_t>(packs), static_cast<uint32_t>(width / count()));
  });
}

template <typename Element>
void sideBySide(Part<Element> q, Part<Element> k, Part<Element> v, Element* y, int64_t tokens, int64_t headSize, Turn how, Stream stream) {
  const int64_t pairs = tokens * (q.heads + k.heads + v.heads) * headSize / 2;
  const auto run = [&](auto count) {
    launch(sideBySideKernel<count(), Element>, piecesOf(pairs / count(), kTurnThreads), kTurnThreads, stream, q, k, v, y,
           static_cast<uint32_t>(pairs / count()), static_cast<uint32_t>(headSize / 2 / count()), how);
  };
  if (isWide<Element>({q.x, k.x, v.x, y}, {headSize / 2, q.stride, k.stride, v.stride}))
    run(std::integral_constant<int, kWide<Element>>());
  else
    run(std::integral_constant<int, 1>());
}

// Calls body with how many columns a lane of a warp has in a row, at most.
template <typename Body>
void withColumns(int64_t width, Body body) {
  if (width <= 8 * kWarp) return body(std::integral_constant<int, 8>());
  if (width <= 16 * kWarp) return body(std::integral_constant<int, 16>());
  if (width <= 24 * kWarp) return body(std::integral_constant<int, 24>());
  return body(std::integral_constant<int, 32>());
}
template <typename Element>
void norm(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how, Stream stream) {
  const auto run = [&](auto* kernel) {
    launch(kernel, piecesOf(how.rows, kNormRows), kNormRows * kWarp, stream, x, weight, bias, y, mean, rstd, how);
  };
  if (how.width > kNarrow) return run(wideNormKernel<Element>);
  withColumns(how.width, [&](auto columns) { run(normKernel<columns(), Element>); });
}

template <typename Element>
void normBackward(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx, float* sums,
                  Norm how, int64_t pieces, Stream stream) {
  const auto run = [&](auto* kernel) { launch(kernel, pieces, kNormThreads, stream, dy, x, weight, mean, rstd, dx, sums, how); };
  if (how.width > kNarrow) return run(wideNormBackwardKernel<widestNorm / kNormThreads, Element>);
  withColumns(how.width, [&](auto columns) { run(normBackwardKernel<columns(), Element>); });
}

template <typename Element>
void crossEntropy(const float* x, const float* bias, const int64_t* target, Element* dx, float* loss, float* hit, int64_t rows,
                  int64_t classes, int64_t stride, Stream stream) {
  const auto kernel = classes <= 16 * kLossThreads   ? crossEntropyKernel<16, Element>
                      : classes <= 64 * kLossThreads ? crossEntropyKernel<64, Element>
                                                     : crossEntropyKernel<100, Element>;
  launch(kernel, rows, kLossThreads, stream, x, bias, target, dx, loss, hit, classes, stride);
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

void adamw(const std::vector<Update>& updates, Stream stream) {
  for (size_t first = 0; first < updates.size(); first += kUpdates) {
    Updates some{};
    int64_t blocks = 0;
    for (; some.number < kUpdates && first + some.number < updates.size(); some.number++) {
      some.all[some.number] = updates[first + some.number];
      some.firstBlock[some.number] = blocks;
      blocks += piecesOf(some.all[some.number].count, kUpdateElements);
    }
    launch(adamwKernel, blocks, kUpdateThreads, stream, some);
  }
}

#define FOR_ELEMENT(Element)                                                                                                              \
  template void dropout(const Element*, Element*, int64_t, Dropout, Stream);                                                              \
  template void addDropout(const float*, const Element*, float*, int64_t, Dropout, Stream);                                               \
  template void gated(Activation, const Element*, Element*, int64_t, int64_t, Stream);                                                    \
  template void gatedBackward(Activation, const Element*, const Element*, Element*, int64_t, int64_t, Stream);                            \
  template void sideBySide(Part<Element>, Part<Element>, Part<Element>, Element*, int64_t, int64_t, Turn, Stream);                         \
  template void norm(const float*, const float*, const float*, Element*, float*, float*, Norm, Stream);                                   \
  template void normBackward(const Element*, const float*, const float*, const float*, const float*, float*, float*, Norm, int64_t,       \
                             Stream);                                                                                                     \
  template void crossEntropy(const float*, const float*, const int64_t*, Element*, float*, float*, int64_t, int64_t, int64_t, Stream);     \
  template void sumRows(const Element*, float*, int64_t, int64_t, int64_t, int64_t, Stream);
FOR_ELEMENT(float)
FOR_ELEMENT(Bfloat16)
FOR_ELEMENT(Half)
template void dropout(const float*, Bfloat16*, int64_t, Dropout, Stream);
template void dropout(const float*, Half*, int64_t, Dropout, Stream);

}  // namespace gpu
