// Philox4x32-10 (Salmon et al. 2011) as a stream of 16-bit words, in chunks of 128.
// Word 128·c + 16·w + i is the 16-bit word w of the block at counter 16·c + i.
#pragma once
#include "simd.h"

namespace kernels {

constexpr int64_t kPhiloxChunk = 128;

namespace philox {

// Eight counters side by side, each 32-bit word in a lane of 64 bits, so that a product is one instruction.
typedef uint64_t Lanes __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(32)));

INLINE void eightCounters(uint64_t first, uint64_t seed, uint32_t* words) {
  constexpr uint64_t low = 0xFFFFFFFFu;
  Lanes a = (first & low) + Lanes{0, 1, 2, 3, 4, 5, 6, 7};  // chunks begin at multiples of 16: no carry
  Lanes b = Lanes{} + (first >> 32), c{}, d{};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const Lanes p = a * uint64_t{0xD2511F53u}, q = c * uint64_t{0xCD9E8D57u};
    a = (q >> 32) ^ b ^ k0;
    b = q & low;
    c = (p >> 32) ^ d ^ k1;
    d = p & low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const Lanes all[4] = {a, b, c, d};
  for (int word = 0; word < 4; word++) {
    const Words both = __builtin_convertvector(all[word], Words);
    const Words halves[2] = {both & 0xFFFFu, both >> 16};
    std::memcpy(words + 32 * word, &halves[0], sizeof(Words));
    std::memcpy(words + 32 * word + 16, &halves[1], sizeof(Words));
  }
}

INLINE void chunk(uint64_t number, uint64_t seed, uint32_t* words) {
  eightCounters(number * 16, seed, words);
  eightCounters(number * 16 + 8, seed, words + 8);
}

}  // namespace philox

// Words [start, start + count) of the stream of `seed`, into room for count + 2·kPhiloxChunk; returns where the first is.
INLINE const uint32_t* philoxWords(int64_t start, int64_t count, uint64_t seed, uint32_t* room) {
  const int64_t skipped = start % kPhiloxChunk;
  for (int64_t at = 0; at < skipped + count; at += kPhiloxChunk)
    philox::chunk(static_cast<uint64_t>((start - skipped + at) / kPhiloxChunk), seed, room + at);
  return room + skipped;
}

}  // namespace kernels
