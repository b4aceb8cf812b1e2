// Memory for tensors on the CPU. A training step frees and asks for the same sizes again, hundreds of megabytes of them:
// given back to the system, each page would be cleared and mapped anew in every step. Blocks are kept instead.
#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace {

constexpr size_t kSmallest = 1 << 16;  // below, malloc is as good
constexpr size_t kHugePage = 1 << 21;

// Rounded up by an eighth at most, so that sizes that differ little share blocks.
size_t roundedSize(size_t bytes) {
  size_t step = kSmallest;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

void* aligned(size_t bytes, size_t alignment) {
  void* block = nullptr;
  return posix_memalign(&block, alignment, bytes) == 0 ? block : nullptr;
}

// The blocks in use, and those that wait for the next tensor of about their size.
struct Blocks {
  std::mutex mutex;
  std::multimap<size_t, void*> free;
  std::unordered_map<void*, size_t> used;
  size_t waitingBytes = 0, usedBytes = 0, mostUsedBytes = 0;

  // Null when there is no memory.
  void* take(size_t bytes) {
    size_t size = roundedSize(bytes);
    const std::lock_guard<std::mutex> lock(mutex);
    // A block that is a little too large is taken as well: with a gate a sequence, sizes change from step to step.
    const auto found = free.lower_bound(size);
    const bool isThere = found != free.end() && found->first <= size + size / 4;
    if (isThere) size = found->first;
    usedBytes += size;
    mostUsedBytes = std::max(mostUsedBytes, usedBytes);
    void* block = nullptr;
    if (isThere) {
      block = found->second;
      free.erase(found);
      waitingBytes -= size;
    } else {
      // Sizes that come once and never again must not pile up.
      if (usedBytes + waitingBytes > 2 * mostUsedBytes) releaseFree();
      block = fresh(size);
      if (!block) {  // what is kept may be what is missing
        releaseFree();
        block = fresh(size);
      }
      if (!block) {
        usedBytes -= size;
        return nullptr;
      }
    }
    used.emplace(block, size);
    return block;
  }
  // Whether the block is one of these; if so it is free from now on.
  bool give(void* block) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = used.find(block);
    if (found == used.end()) return false;
    free.emplace(found->second, block);
    waitingBytes += found->second;
    usedBytes -= found->second;
    used.erase(found);
    return true;
  }
  void releaseFree() {
    for (const auto& [size, block] : free) std::free(block);
    free.clear();
    waitingBytes = 0;
  }

  static void* fresh(size_t size) {
    void* block = aligned(size, size >= kHugePage ? kHugePage : 4096);
#ifdef MADV_HUGEPAGE
    if (block && size >= kHugePage) madvise(block, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
    return block;
  }
};

Blocks& blocks() {
  static Blocks* all = new Blocks();  // never destroyed: tensors may outlive everything
  return *all;
}

void release(void* block) {
  if (!blocks().give(block)) std::free(block);
}

// libtorch 2's interface has `allocate` not const, and `copy_data`; 1.13's has neither.
struct Keeping final : at::Allocator {
  at::DataPtr allocate(size_t bytes) { return static_cast<const Keeping*>(this)->allocate(bytes); }
  void copy_data(void* into, const void* from, std::size_t bytes) const { std::memcpy(into, from, bytes); }
  at::DataPtr allocate(size_t bytes) const {
    void* data = bytes >= kSmallest ? blocks().take(bytes) : bytes ? aligned(bytes, 64) : nullptr;
    TORCH_CHECK(data || !bytes, "out of memory: ", bytes, " more bytes could not be allocated; smaller batches need less");
    return {data, data, release, at::Device(at::kCPU)};
  }
  at::DeleterFnPtr raw_deleter() const override { return release; }
};

}  // namespace

void keepMemory() {
  static Keeping keeping;
  c10::SetCPUAllocator(&keeping, /*priority=*/1);
}
