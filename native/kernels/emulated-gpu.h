// Runs the kernels of gpu.cu on the CPU, for tests on machines without a GPU: as much of CUDA's language as they use. A block's
// threads are fibers that take turns; where the threads of a GPU meet, each fiber lets the others run until they are there. In every
// second launch they take turns backwards, so that a meeting that is missing shows.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#define __global__
#define __device__
#define __shared__ static  // blocks run one after the other
#define __launch_bounds__(...)
#define UNROLL

namespace emulated {

struct Index {
  unsigned x;
};
inline Index threadIdx, blockIdx, gridDim;

inline float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline uint32_t toBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float fromBfloat16(uint16_t bits) { return fromBits(static_cast<uint32_t>(bits) << 16); }
inline uint16_t toBfloat16(float x) {
  if (std::isnan(x)) return 0x7fc0;
  const uint32_t bits = toBits(x);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
inline float fromHalf(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float x = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? std::ldexp(1024.f + static_cast<float>(fraction), exponent - 25)
                                 : std::ldexp(static_cast<float>(fraction), -24);
  return bits & 0x8000 ? -x : x;
}
inline uint16_t toHalf(float x) {
  const uint16_t sign = static_cast<uint16_t>(toBits(x) >> 16 & 0x8000u);
  if (std::isnan(x)) return 0x7e00;
  const float size = std::fabs(x);
  if (size >= 65520) return sign | 0x7c00;
  const int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
  const float units = std::nearbyint(std::ldexp(size, 10 - exponent));  // to even, as the processor rounds
  const int whole = static_cast<int>(units) + (exponent + 14) * 1024;   // a carry goes into the exponent
  return static_cast<uint16_t>(sign | whole);
}

struct Fiber {
  jmp_buf place;
  std::unique_ptr<char[]> stack;
  bool isDone;
  bool waits;  // for all others of the block
};

class Machine {
 public:
  std::vector<uint32_t> exchange;

  static Machine& only() {
    static auto* machine = new Machine;
    return *machine;
  }

  void launch(std::function<void()> kernel, unsigned blocks, unsigned threads) {
    body = std::move(kernel);
    exchange.resize(std::max<size_t>(exchange.size(), threads));
    while (fibers.size() < threads) start();
    gridDim.x = blocks;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) runBlock(threads);
    launches++;
  }

  // The others of the warp, who are at the same place, run until they are here too; or all threads of the block.
  void meet(bool isWithAll) {
    if (isAlone) throw std::logic_error("the first thread of a block meets no others and this one does");
    fibers[threadIdx.x].waits = isWithAll;
    if (_setjmp(fibers[threadIdx.x].place) == 0) _longjmp(scheduler, 1);
  }

 private:
  static constexpr size_t stackBytes = 64 << 10;
  std::vector<Fiber> fibers;
  std::function<void()> body;
  jmp_buf scheduler;
  ucontext_t first;
  int64_t launches = 0;
  bool isAlone = false;

  static void fiber() {
    auto& machine = only();
    const unsigned self = threadIdx.x;
    for (bool isNew = true;; isNew = false) {
      if (!isNew) machine.body();
      machine.fibers[self].isDone = true;
      if (_setjmp(machine.fibers[self].place) == 0) _longjmp(machine.scheduler, 1);
    }
  }
  void start() {
    threadIdx.x = static_cast<unsigned>(fibers.size());
    fibers.push_back({{}, std::make_unique<char[]>(stackBytes), false, false});
    getcontext(&first);
    first.uc_stack.ss_sp = fibers.back().stack.get();
    first.uc_stack.ss_size = stackBytes;
    makecontext(&first, fiber, 0);
    if (_setjmp(scheduler) == 0) setcontext(&first);
  }
  void runFiber(unsigned i) {
    threadIdx.x = i;
    if (_setjmp(scheduler) == 0) _longjmp(fibers[i].place, 1);
  }
  void runBlock(unsigned threads) {
    for (unsigned i = 0; i < threads; i++) fibers[i].isDone = fibers[i].waits = false;
    runFiber(0);
    // Where the first thread meets no others, none does: they need no turns.
    isAlone = fibers[0].isDone;
    for (unsigned i = 1; isAlone && i < threads; i++) {
      threadIdx.x = i;
      body();
    }
    bool isBusy = !isAlone;
    isAlone = false;
    for (unsigned round = 0; isBusy; round++) {
      for (unsigned turn = 0; turn < threads; turn++) {
        const unsigned i = launches % 2 ? threads - 1 - turn : turn;
        if (!fibers[i].isDone && !fibers[i].waits && !(round == 0 && i == 0)) runFiber(i);
      }
      const auto all = [&](auto is) { return std::all_of(fibers.begin(), fibers.begin() + threads, is); };
      isBusy = !all([](const Fiber& fiber) { return fiber.isDone; });
      if (all([](const Fiber& fiber) { return fiber.isDone || fiber.waits; }))
        for (unsigned i = 0; i < threads; i++) fibers[i].waits = false;
    }
  }
};

}  // namespace emulated

using emulated::blockIdx;
using emulated::gridDim;
using emulated::threadIdx;

inline void __syncthreads() { emulated::Machine::only().meet(/*isWithAll=*/true); }

inline float __shfl_xor_sync(unsigned, float x, int offset) {
  auto& machine = emulated::Machine::only();
  const unsigned self = emulated::threadIdx.x;
  machine.exchange[self] = emulated::toBits(x);
  machine.meet(/*isWithAll=*/false);
  const float other = emulated::fromBits(machine.exchange[self ^ static_cast<unsigned>(offset)]);
  machine.meet(/*isWithAll=*/false);
  return other;
}

inline uint32_t __ballot_sync(unsigned, bool x) {
  auto& machine = emulated::Machine::only();
  const unsigned self = emulated::threadIdx.x;
  machine.exchange[self] = x;
  machine.meet(/*isWithAll=*/false);
  uint32_t all = 0;
  for (unsigned lane = 0; lane < 32; lane++) all |= machine.exchange[self / 32 * 32 + lane] << lane;
  machine.meet(/*isWithAll=*/false);
  return all;
}

namespace {
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, void*, Arguments... arguments) {
  emulated::Machine::only().launch([=] { kernel(arguments...); }, static_cast<unsigned>(blocks), static_cast<unsigned>(threads));
}
}  // namespace
