// One worker as the dispatcher sees it: what was sent to it, what it may still be sent, what waits to be written.
//
// Who: the dispatcher's thread. A plain record with the arithmetic of credits; the rules are in dispatcher.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

#include "dispatch/forks.h"
#include "dispatch/sequence.h"
#include "frame/bytes.h"
#include "frame/decoder.h"
#include "frame/frame.h"
#include "frame/output.h"
#include "process/shared_page.h"

namespace bosun {

struct InFlight {
  std::uint32_t sequence;
  std::uint32_t slot;
  std::uint32_t first_fork = kNoFork;  // of the tasks that this one has scheduled
  std::uint32_t waits = 0;             // for so many of them
  bool has_waited = false;
};

struct Connection {
  Connection(std::uint32_t handle, std::uint32_t worker, SharedPage page, std::uint64_t max_frame_bytes) noexcept
      : handle(handle), worker(worker), page(std::move(page)), decoder(max_frame_bytes) {}

  const std::uint32_t handle;
  const std::uint32_t worker;
  std::uint32_t place = 0;  // of which it runs the tasks, beside those that any worker may; 0 for none
  SharedPage page;
  FrameDecoder decoder;
  bool foreign = false;    // it speaks the reference dialogue, see foreign.cc
  bool remote = false;     // a worker on another host: no page, and what it says is of another trust domain
  bool exited = false;     // of a remote one: how its process ended is known
  bool greeted = false;    // its hello has arrived: it is set up
  bool closing = false;    // it gets nothing more
  bool suspended = false;  // its process was stopped, and may go on
  bool condemned = false;  // it goes on with a task that it was told to stop
  bool dirty = false;      // listed for Flush
  Output output;           // whoever drives the connection takes it from here

  std::deque<InFlight> in_flight;  // in order of sequence
  std::uint32_t last_sent = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> forks;  // by the worker's numbers
  std::uint32_t waiting = 0;    // of those in flight, that wait for others and so have given up their places
  bool has_waited = false;      // more than its usual lanes may be in use
  std::uint32_t stopping = 0;   // of those in flight, told to stop
  std::uint32_t offender = 0;   // while it is condemned: the number of that task
  std::uint64_t sent_us = 0;    // when a foreign one was given its task
  std::uint32_t scheduled = 0;  // by a foreign one, which gives its tasks no numbers
  bool schedule_waits = false;  // its task was accepted, and it has yet to be told so
  std::uint32_t window = 1;
  double average_us = 0;
  std::uint32_t watched_claim = 0;
  std::size_t watched_output = 0;
  std::uint32_t silent = 0;    // how often it was looked at since it has moved
  std::uint32_t patience = 1;  // how often that may be
  bool watched = false;
  bool stuck = false;  // tasks were taken back from it: it gets nothing more before it says something

  std::uint32_t messages_received = 0;
  std::uint32_t messages_accepted = 0;
  std::uint64_t tasks_ended = 0;
  std::uint64_t heard = 0;  // the higher, the later it has said something

  std::uint32_t running() const noexcept { return static_cast<std::uint32_t>(in_flight.size()) - waiting; }

  // For tasks that others wait for.
  std::uint32_t Room() const noexcept {
    // A worker that is still cleaning up after a task that was stopped may have to be killed for it.
    if (!greeted || foreign || closing || suspended || stuck || stopping > 0 || running() >= window) return 0;
    // What cannot be written yet is better off in the queue.
    if (output.size() > kMaxOutput && running() > 0) return 0;
    return window - running();
  }

  // For any task: the place of one that waits is for what others wait for alone. That is why some task can always run,
  // and a worker holds no more suspended ones than the tree of tasks is deep.
  bool TakesAny(std::uint32_t concurrency) const noexcept { return waiting == 0 || in_flight.size() < concurrency; }

  std::deque<InFlight>::iterator FindFlight(std::uint32_t sequence) noexcept {
    const auto at =
        std::lower_bound(in_flight.begin(), in_flight.end(), sequence,
                         [](const InFlight& flight, std::uint32_t number) { return After(number, flight.sequence); });
    return at != in_flight.end() && at->sequence == sequence ? at : in_flight.end();
  }

  // A task that it was told to stop has ended, or was taken back.
  void LetGo(std::uint32_t sequence) noexcept {
    --stopping;
    if (sequence == offender) condemned = false;
  }

  // True when it holds a task that it has not begun.
  bool HasUnclaimed() const noexcept {
    return page && !in_flight.empty() && After(in_flight.back().sequence, Claimed());
  }

  // Since it was watched it has begun a task, or has been sent something: a long payload takes its time.
  bool HasMoved(std::uint32_t claimed) const noexcept {
    return claimed != watched_claim || output.size() != watched_output;
  }

  // It was asked for tasks back that it would have begun: it is not stuck but slow, or has much to read. Without this,
  // long payloads could go to and fro between workers for ever.
  void WasSlow() noexcept { patience = std::min(2 * patience, kMaxPatience); }
  void WasQuick() noexcept { patience = std::max(patience / 2, 1u); }

  // The last sequence number that the worker has claimed. A worker without a page may have started all of them.
  std::uint32_t Claimed() const noexcept { return page ? page->claim.claimed() : last_sent; }

  // Sizes the window so that the work that waits at a worker is at most about a millisecond: a task that takes one or
  // more is never behind another, so priorities stay strict where it matters. As much again of short tasks has been
  // done, and its results wait for company: the manager has to know of room before the worker has nothing to do.
  void Learn(std::uint32_t run_us, std::uint32_t concurrency) noexcept {
    average_us = tasks_ended == 0 ? run_us : average_us + (run_us - average_us) / 8;
    // Whatever is sent to another host counts as begun when the link is cut, so nothing is sent ahead.
    if (remote) return;
    const double ahead_us = average_us < kBatchedRunUs ? 2 * kAheadUs : kAheadUs;
    const double fits = ahead_us * concurrency / std::max(average_us, 1.0);
    window = concurrency - 1 + std::clamp(static_cast<std::uint32_t>(fits), 1u, kMaxWindow);
  }

 private:
  static constexpr double kAheadUs = 1000;
  static constexpr std::size_t kMaxOutput = 1 << 20;
  static constexpr std::uint32_t kMaxWindow = 512;
  static constexpr std::uint32_t kMaxPatience = 1024;
};

}  // namespace bosun
