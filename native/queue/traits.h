// What the tests of the queue change about it: the size of a segment, and a call between any two steps that another
// thread may come between. Everyone else uses QueueTraits, where that call is nothing.
#pragma once

#include <cstdint>

namespace bosun {

struct QueueTraits {
  static constexpr std::uint32_t kSlotBits = 10;  // 1024 slots, 4 KiB
  static void Between() noexcept {}
};

}  // namespace bosun
