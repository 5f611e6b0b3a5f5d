// Whether it pays to poll for a while before sleeping, learnt from how it went.
//
// Who: one thread. The rule: after kMisses polls in a row that ended without anything it is left alone, but for every
// kRetry-th chance; one that finds something makes it worth while again. A worker that is asked for something now and
// then wastes few of its chances, and one that is asked all the time loses none.
#pragma once

#include <cstdint>

namespace bosun {

class SpinRule {
 public:
  static constexpr std::uint32_t kMisses = 8;
  static constexpr std::uint32_t kRetry = 64;

  // At each chance; true: poll, and say how it went.
  bool Try() noexcept {
    if (misses_ < kMisses) return true;
    skipped_ = (skipped_ + 1) % kRetry;
    return skipped_ == 0;
  }
  void Hit() noexcept { misses_ = 0; }
  void Miss() noexcept {
    if (misses_ < kMisses) ++misses_;
  }

 private:
  std::uint32_t misses_ = 0;
  std::uint32_t skipped_ = 0;
};

}  // namespace bosun
