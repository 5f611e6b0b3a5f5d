// One worker as the dispatcher sees it: what was sent to it, what it may still be sent, what waits to be written.
//
// Who: the dispatcher's thread. A plain record with the arithmetic of credits; the rules are in dispatcher.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "dispatch/sequence.h"
#include "frame/bytes.h"
#include "frame/decoder.h"
#include "process/shared_page.h"

namespace bosun {

struct InFlight {
  std::uint32_t sequence;
  std::uint32_t slot;
};

struct Connection {
  Connection(std::uint32_t handle, std::uint32_t worker, SharedPage page, std::uint64_t max_frame_bytes) noexcept
      : handle(handle), worker(worker), page(std::move(page)), decoder(max_frame_bytes) {}

  const std::uint32_t handle;
  const std::uint32_t worker;
  SharedPage page;
  FrameDecoder decoder;
  bool greeted = false;  // its hello has arrived: it is set up
  bool closing = false;  // it gets nothing more
  bool dirty = false;    // listed for Flush
  Bytes output;

  std::deque<InFlight> in_flight;  // in order of sequence
  std::uint32_t last_sent = 0;
  std::uint32_t window = 1;
  double average_us = 0;
  std::uint32_t watched_claim = 0;
  bool watched = false;
  bool stuck = false;  // tasks were taken back from it: it gets nothing more before it says something

  std::uint32_t messages_received = 0;
  std::uint32_t messages_accepted = 0;
  std::uint64_t tasks_ended = 0;

  std::uint32_t Room() const noexcept {
    if (!greeted || closing || stuck || in_flight.size() >= window) return 0;
    return window - static_cast<std::uint32_t>(in_flight.size());
  }

  // True when it holds a task that it has not begun.
  bool HasUnclaimed() const noexcept {
    return page && !in_flight.empty() && After(in_flight.back().sequence, Claimed());
  }

  // The last sequence number that the worker has claimed. A worker without a page may have started all of them.
  std::uint32_t Claimed() const noexcept { return page ? page->claim.claimed() : last_sent; }

  // Sizes the window so that the work sent ahead is at most about a millisecond: a task that takes one or more is
  // never behind another, so priorities stay strict where it matters.
  void Learn(std::uint32_t run_us) noexcept {
    average_us = tasks_ended == 0 ? run_us : average_us + (run_us - average_us) / 8;
    const double fits = kAheadUs / std::max(average_us, 1.0);
    window = std::clamp(static_cast<std::uint32_t>(fits), 1u, kMaxWindow);
  }

 private:
  static constexpr double kAheadUs = 1000;
  static constexpr std::uint32_t kMaxWindow = 512;
};

}  // namespace bosun
