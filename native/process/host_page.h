// The manager's side of a status page where the manager is on another host: whoever started the worker there keeps it.
//
// Who: one thread, that of the event loop which relays the frames. Cost: a few stores per frame.
// Not for: taking tasks back. What was sent to another host is the worker's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "process/shared_page.h"

namespace bosun {

class HostPage {
 public:
  explicit HostPage(SharedPage page) noexcept : page_(std::move(page)) { page_->claim.Extend(kAhead); }
  HostPage(const HostPage&) = delete;
  HostPage& operator=(const HostPage&) = delete;

  // A task with this number is on its way to the worker: it may begin it, and many behind it.
  void Sent(std::uint32_t sequence) noexcept {
    if (sequence % kStep == 0) page_->claim.Extend(sequence + kAhead);
  }

  // The task is to stop. One that has not begun yet finds that out in whichever lane it begins.
  void Stop(std::uint32_t sequence, std::uint32_t lanes, StopReason reason) noexcept {
    if (RunLane* lane = page_->LaneOf(sequence, lanes)) {
      lane->Stop(sequence, reason);
      return;
    }
    for (std::uint32_t i = 0; i < std::min(lanes, StatusPage::kMaxLanes); ++i) {
      const std::uint32_t running = page_->lanes[i].sequence();
      if (running == 0 || running == sequence) page_->lanes[i].Stop(sequence, reason);
    }
  }

  // All of them are.
  void Close() noexcept {
    page_->closing.store(1, std::memory_order_relaxed);  // relaxed: a hint, as the lanes' words are.
  }

 private:
  // Numbers are compared by their difference, so the limit may be almost 2^31 ahead.
  static constexpr std::uint32_t kAhead = 1u << 30;
  static constexpr std::uint32_t kStep = 1u << 16;

  const SharedPage page_;
};

}  // namespace bosun
