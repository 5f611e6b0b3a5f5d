// Queue traits for the stress programs: segments of 16 slots, and random pauses between any two steps of an operation,
// so that two cores see the interleavings that else need many cores and much luck.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

namespace bosun::test {

// xorshift64*: small enough to be called between any two steps.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept : state_(seed * 0x9E3779B97F4A7C15ull | 1) {}
  std::uint32_t Next() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>((state_ * 0x2545F4914F6CDD1Dull) >> 32);
  }
  std::uint32_t Below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{Next()} * bound) >> 32);
  }

 private:
  std::uint64_t state_;
};

inline thread_local Random chaos{1};

struct ChaosTraits {
  static constexpr std::uint32_t kSlotBits = 4;
  static void Between() noexcept {
    const std::uint32_t dice = chaos.Below(64);
    if (dice == 0) {
      std::this_thread::yield();
    } else if (dice < 8) {
      for (std::uint32_t spins = chaos.Below(200); spins > 0; --spins) {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // keeps the loop
      }
    }
  }
};

// argv[1] or a fresh one; printed, so that a failure can be tried again.
inline std::uint64_t SeedOf(int argc, char** argv) noexcept {
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

}  // namespace bosun::test
