// Built by nvcc; or by a C++ compiler, to run on the CPU in tests (emulated-gpu.h).
#include "gpu.h"

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

constexpr int kGatedThreads = 256;
template <Activation f, typename Element>
__global__ void gatedKernel(const Element* __restrict__ x, Element* __restrict__ y, int64_t count, int64_t width) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kGatedThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t at = i / width * 2 * width + i % width;
  store(y[i], valueOf<f>(load(x[at])) * load(x[at + width]));
}
template <Activation f, typename Element>
__global__ void gatedBackwardKernel(const Element* __restrict__ x, const Element* __restrict__ dy, Element* __restrict__ dx, int64_t count,
                                    int64_t width) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kGatedThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t at = i / width * 2 * width + i % width;
  const float a = load(x[at]), b = load(x[at + width]), d = load(dy[i]);
  store(dx[at], d * b * derivativeOf<f>(a));
  store(dx[at + width], d * valueOf<f>(a));
}

// --- Rotary positions ---
constexpr int kRotateThreads = 256;
template <typename Element>
__global__ void rotateKernel(const Element* __restrict__ x, Element* __restrict__ y, const int64_t* position, const float* cosines,
                             const float* sines, int64_t pairs, int64_t heads, int64_t turned, int64_t half, float direction) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * kRotateThreads + threadIdx.x;
  if (pair >= pairs) return;
  const int64_t i = pair % half, head = pair / half % heads, token = pair / half / heads;
  const int64_t at = (token * heads + head) * 2 * half + i;
  const float first = load(x[at]), second = load(x[at + half]);
  const bool turns = head < turned;
  const int64_t angle = position[token] * half + i;
  const float c = turns ? cosines[angle] : 1.f, s = turns ? direction * sines[angle] : 0.f;
  store(y[at], first * c - second * s);
  store(y[at + half], second * c + first * s);
}

// --- Layer normalisation and RMSNorm ---
constexpr int kNormRows = 4;  // a block has a warp for each of so many rows

template <typename Element>
__global__ void normKernel(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how) {
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

// A block goes through its piece of the rows, one at a time; each of its threads has the same columns in all of them, and sums up
// what they add to weight and bias. With x̂ = (x − mean)·rstd and g = dy·weight: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) where nothing is
// centered.
constexpr int kNormThreads = 256;
template <int Columns, typename Element>
__global__ void normBackwardKernel(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx,
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
// Σ e^(x − top) over some of a row's logits, and their largest.
struct Exponentials {
  float top, sum;
};
__device__ Exponentials joined(Exponentials x, Exponentials y) {
  const float top = fmaxf(x.top, y.top);
  if (top == -INFINITY) return {top, 0};
  return {top, x.sum * expf(x.top - top) + y.sum * expf(y.top - top)};
}

// A block has a row.
constexpr int kLossThreads = 256;
template <typename Element>
__global__ void crossEntropyKernel(const float* x, const float* bias, const int64_t* target, Element* dx, float* loss, float* hit,
                                   int64_t classes) {
  const int64_t row = blockIdx.x, label = target[row];
  x += row * classes;
  const auto logit = [=](int64_t i) { return bias ? x[i] + bias[i] : x[i]; };
  // A class that is not there has no logit: its loss is not finite, and the step is not applied.
  const float at = label >= 0 && label < classes ? logit(label) : NAN;
  Exponentials all{-INFINITY, 0};
  float better = 0;  // classes with a larger logit, or with the same and a smaller number
  for (int64_t i = threadIdx.x; i < classes; i += kLossThreads) {
    const float z = logit(i);
    all = z > all.top ? Exponentials{z, all.sum * expf(all.top - z) + 1} : Exponentials{all.top, all.sum + expf(z - all.top)};
    if (!(z < at) && (z != at || i < label)) better = 1;
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    all = joined(all, {__shfl_xor_sync(kAllLanes, all.top, offset), __shfl_xor_sync(kAllLanes, all.sum, offset)});
  __shared__ Exponentials parts[kLossThreads / kWarp];
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = all;
  better = sumOfBlock<kLossThreads>({better, 0}).a;  // and all parts are there
  all = parts[0];
  for (int i = 1; i < kLossThreads / kWarp; i++) all = joined(all, parts[i]);
  if (threadIdx.x == 0) {
    loss[row] = all.top + logf(all.sum) - at;
    hit[row] = better == 0 ? 1.f : 0.f;
  }
  if (dx == nullptr) return;
  dx += row * classes;
  const float share = 1 / all.sum;
  for (int64_t i = threadIdx.x; i < classes; i += kLossThreads) store(dx[i], expf(logit(i) - all.top) * share - (i == label ? 1.f : 0.f));
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
  for (int64_t i = start + threadIdx.x; i < stop; i += kUpdateThreads) {
    const float g = update.gradient[i] * h.gradientScale;
    const float m = h.beta1 * update.moment[i] + h.newShare1 * g;
    const float v = h.beta2 * update.variance[i] + h.newShare2 * g * g;
    update.moment[i] = m;
    update.variance[i] = v;
    update.parameter[i] = update.parameter[i] * decay - stepSize * m / (sqrtf(v) / rootCorrection2 + h.epsilon);
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

template <typename Element>
void gated(Activation f, const Element* x, Element* y, int64_t rows, int64_t width, Stream stream) {
  const auto kernel = f == Activation::silu   ? gatedKernel<Activation::silu, Element>
                      : f == Activation::gelu ? gatedKernel<Activation::gelu, Element>
                                              : gatedKernel<Activation::geluTanh, Element>;
  launch(kernel, piecesOf(rows * width, kGatedThreads), kGatedThreads, stream, x, y, rows * width, width);
}
template <typename Element>
void gatedBackward(Activation f, const Element* x, const Element* dy, Element* dx, int64_t rows, int64_t width, Stream stream) {
  const auto kernel = f == Activation::silu   ? gatedBackwardKernel<Activation::silu, Element>
                      : f == Activation::gelu ? gatedBackwardKernel<Activation::gelu, Element>
                                              : gatedBackwardKernel<Activation::geluTanh, Element>;
  launch(kernel, piecesOf(rows * width, kGatedThreads), kGatedThreads, stream, x, dy, dx, rows * width, width);
}

template <typename Element>
void rotate(const Element* x, Element* y, const int64_t* position, const float* cosines, const float* sines, int64_t tokens, int64_t heads,
            int64_t turned, int64_t half, float direction, Stream stream) {
  const int64_t pairs = tokens * heads * half;
  launch(rotateKernel<Element>, piecesOf(pairs, kRotateThreads), kRotateThreads, stream, x, y, position, cosines, sines, pairs, heads, turned,
         half, direction);
}

template <typename Element>
void norm(const float* x, const float* weight, const float* bias, Element* y, float* mean, float* rstd, Norm how, Stream stream) {
  launch(normKernel<Element>, piecesOf(how.rows, kNormRows), kNormRows * kWarp, stream, x, weight, bias, y, mean, rstd, how);
}

template <typename Element>
void normBackward(const Element* dy, const float* x, const float* weight, const float* mean, const float* rstd, float* dx, float* sums,
                  Norm how, int64_t pieces, Stream stream) {
  const auto kernel =
      how.width <= 4 * kNormThreads ? normBackwardKernel<4, Element> : normBackwardKernel<widestNorm / kNormThreads, Element>;
  launch(kernel, pieces, kNormThreads, stream, dy, x, weight, mean, rstd, dx, sums, how);
}

template <typename Element>
void crossEntropy(const float* x, const float* bias, const int64_t* target, Element* dx, float* loss, float* hit, int64_t rows,
                  int64_t classes, Stream stream) {
  launch(crossEntropyKernel<Element>, rows, kLossThreads, stream, x, bias, target, dx, loss, hit, classes);
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
  template void rotate(const Element*, Element*, const int64_t*, const float*, const float*, int64_t, int64_t, int64_t, int64_t, float,   \
                       Stream);                                                                                                           \
  template void norm(const float*, const float*, const float*, Element*, float*, float*, Norm, Stream);                                   \
  template void normBackward(const Element*, const float*, const float*, const float*, const float*, float*, float*, Norm, int64_t,       \
                             Stream);                                                                                                     \
  template void crossEntropy(const float*, const float*, const int64_t*, Element*, float*, float*, int64_t, int64_t, Stream);
FOR_ELEMENT(float)
FOR_ELEMENT(Bfloat16)
FOR_ELEMENT(Half)
template void dropout(const float*, Bfloat16*, int64_t, Dropout, Stream);
template void dropout(const float*, Half*, int64_t, Dropout, Stream);

}  // namespace gpu
