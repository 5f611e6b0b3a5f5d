// What a manager and a worker share: the claim word, the run lanes and the ring of ends, alone and in a race.

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "process/status_page.h"

namespace {

using bosun::ClaimWord;
using bosun::EndRing;
using bosun::RunLane;
using bosun::StatusPage;
using bosun::StopReason;

TEST(ClaimsInOrderUpToTheLimit) {
  ClaimWord word;
  CHECK(!word.Claim(1));
  word.Extend(2);
  CHECK(!word.Claim(2));
  CHECK(word.Claim(1));
  CHECK(!word.Claim(1));
  CHECK(word.Claim(2));
  CHECK(!word.Claim(3));
  CHECK_EQ(word.claimed(), 2u);
}

TEST(ARecalledNumberIsNeverClaimedAgain) {
  ClaimWord word;
  word.Extend(5);
  CHECK(word.Claim(1));
  CHECK_EQ(word.Recall(5), 1u);
  word.Extend(7);
  for (std::uint32_t stale = 2; stale <= 5; ++stale) CHECK(!word.Claim(stale));
  CHECK(word.Claim(6));
  CHECK(word.Claim(7));
}

TEST(NumbersWrapAround) {
  ClaimWord word;
  std::uint32_t last = 0xFFFFFFFD;
  CHECK_EQ(word.Recall(last), 0u);
  for (int i = 0; i < 6; ++i) {
    word.Extend(last + 1);
    CHECK(word.Claim(last + 1));
    ++last;
  }
  CHECK_EQ(word.claimed(), 3u);
}

// A worker claims as fast as it can while the manager takes back and sends again: each task is run exactly once.
TEST(RecallsAndClaimsInARaceRunEachTaskOnce) {
  constexpr std::uint32_t kTasks = 2'000;
  struct Sent {
    std::uint32_t sequence;
    std::uint32_t task;
  };
  ClaimWord word;
  std::vector<Sent> wire(std::size_t{kTasks} * 64);  // written by the manager, read by the worker up to `written`
  std::atomic<std::uint32_t> written{0};
  std::atomic<bool> finished{false};
  std::vector<std::uint32_t> runs(kTasks, 0);

  std::thread worker([&] {
    std::uint32_t read = 0;
    for (;;) {
      // acquire: pairs with the release below, the frames up to it are complete.
      const std::uint32_t end = written.load(std::memory_order_acquire);
      for (; read < end; ++read) {
        if (word.Claim(wire[read].sequence)) ++runs[wire[read].task];
      }
      // Spinning out a time slice would hold up a manager on the same core.
      std::this_thread::yield();
      // acquire: pairs with the release at the end.
      if (finished.load(std::memory_order_acquire) && read == written.load(std::memory_order_acquire)) return;
    }
  });

  std::vector<std::uint32_t> queue;
  for (std::uint32_t task = kTasks; task > 0; --task) queue.push_back(task - 1);
  std::vector<Sent> in_flight;
  std::uint32_t sequence = 0;
  std::mt19937_64 random(42);
  while (!queue.empty() || !in_flight.empty()) {
    for (int i = 0; i < 8 && !queue.empty(); ++i) {
      const Sent sent{++sequence, queue.back()};
      queue.pop_back();
      in_flight.push_back(sent);
      const std::uint32_t at = written.load(std::memory_order_relaxed);
      CHECK(at < wire.size());
      wire[at] = sent;
      word.Extend(sequence);
      written.store(at + 1, std::memory_order_release);  // release: pairs with the acquire in the worker.
    }
    // Sometimes at once, sometimes when the worker has had its chance.
    for (std::uint64_t chances = random() % 64; chances > 0; --chances) std::this_thread::yield();
    const std::uint32_t claimed = word.Recall(sequence);
    while (!in_flight.empty() && static_cast<std::int32_t>(in_flight.back().sequence - claimed) > 0) {
      queue.push_back(in_flight.back().task);
      in_flight.pop_back();
    }
    in_flight.clear();
    if (written.load(std::memory_order_relaxed) + 16 > wire.size()) break;
  }
  finished.store(true, std::memory_order_release);  // release: pairs with the acquire in the worker.
  worker.join();
  std::vector<bool> waiting(kTasks, false);
  for (const std::uint32_t task : queue) waiting[task] = true;
  std::uint32_t ran = 0;
  for (std::uint32_t task = 0; task < kTasks; ++task) {
    CHECK(runs[task] <= 1);
    CHECK_EQ(runs[task] == 1, !waiting[task]);
    ran += runs[task];
  }
  CHECK(ran > 0);
}

// ---- lanes ----------------------------------------------------------------------------

TEST(ALaneHoldsOneTaskAndTheReasonToStopItOnly) {
  RunLane lane;
  CHECK_EQ(lane.sequence(), 0u);
  lane.Begin(7, 1234);
  CHECK_EQ(lane.sequence(), 7u);
  CHECK_EQ(lane.started_us(), 1234u);
  CHECK_EQ(lane.Stopped(7), StopReason::kNone);
  lane.Stop(7, StopReason::kTimeout);
  CHECK_EQ(lane.Stopped(7), StopReason::kTimeout);
  lane.End();
  CHECK_EQ(lane.sequence(), 0u);
  lane.Begin(8, 1300);
  CHECK_EQ(lane.Stopped(8), StopReason::kNone);
  lane.Stop(0xFFFFFFFF, StopReason::kClosing);
  CHECK_EQ(lane.Stopped(0xFFFFFFFF), StopReason::kClosing);
  CHECK_EQ(lane.Stopped(8), StopReason::kNone);
}

TEST(ATaskIsFoundInTheLanesThatAreInUse) {
  const auto page = std::make_unique<StatusPage>();
  CHECK(page->LaneOf(5, 4) == nullptr);
  page->lanes[3].Begin(5, 1);
  CHECK(page->LaneOf(5, 4) == &page->lanes[3]);
  CHECK(page->LaneOf(5, 3) == nullptr);
  page->lanes[3].End();
  CHECK(page->LaneOf(5, 4) == nullptr);
  // More lanes in use than there are is no reason to read beyond them.
  CHECK(page->LaneOf(5, 0xFFFFFFFF) == nullptr);
  page->lanes[StatusPage::kMaxLanes - 1].Begin(6, 1);
  CHECK(page->LaneOf(6, 0xFFFFFFFF) == &page->lanes[StatusPage::kMaxLanes - 1]);
}

// ---- the ring of ends -------------------------------------------------------------------

TEST(TheRingKnowsTheLastEndsAcrossTheWrap) {
  const auto ring = std::make_unique<EndRing>();
  const std::uint32_t first = 0xFFFFFFFF - EndRing::kPlaces / 2;
  for (std::uint32_t n = 1; n <= EndRing::kPlaces; ++n) ring->Ended(first - n);
  for (std::uint32_t n = 0; n < EndRing::kPlaces; ++n) {
    CHECK(!ring->Has(first + n));
    ring->Ended(first + n);
  }
  for (std::uint32_t n = 0; n < EndRing::kPlaces; ++n) CHECK(ring->Has(first + n));
  CHECK(!ring->Has(first - EndRing::kPlaces));
  CHECK(!ring->Has(first + EndRing::kPlaces));
  // The next ones take the places of the oldest.
  for (std::uint32_t n = 0; n < EndRing::kPlaces; ++n) {
    ring->Ended(first + EndRing::kPlaces + n);
    CHECK(!ring->Has(first + n));
    CHECK(ring->Has(first + EndRing::kPlaces + n));
  }
}

TEST(EndsInAnyOrderAreKnown) {
  const auto ring = std::make_unique<EndRing>();
  for (const std::uint32_t sequence : {9u, 3u, 7u}) ring->Ended(sequence);
  for (std::uint32_t sequence = 1; sequence < 12; ++sequence) {
    CHECK_EQ(ring->Has(sequence), sequence == 3 || sequence == 7 || sequence == 9);
  }
}

// Whatever the manager looks at has been claimed: it is in its lane, with its own start, or it is marked as ended.
TEST(AClaimedTaskIsInALaneOrHasEnded) {
  const std::uint32_t tasks = static_cast<std::uint32_t>(bosun::test::Scaled(200'000));
  constexpr std::uint32_t kLanes = 2;
  const auto page = std::make_unique<StatusPage>();
  page->claim.Extend(tasks);
  std::atomic<bool> finished{false};
  std::atomic<std::uint64_t> seen{0};

  std::thread worker([&] {
    for (std::uint32_t sequence = 1; sequence <= tasks; ++sequence) {
      // Somebody has to have looked.
      while (sequence == tasks && seen.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
      const std::uint32_t lane = sequence % kLanes;
      page->lanes[lane].Begin(sequence, sequence);
      CHECK(page->claim.Claim(sequence));
      page->ended.Ended(sequence);
      page->lanes[lane].End();
      if (sequence % 64 == 0) std::this_thread::yield();
    }
    finished.store(true, std::memory_order_release);  // release: pairs with the acquire below.
  });

  // acquire: pairs with the release above.
  while (!finished.load(std::memory_order_acquire)) {
    const std::uint32_t sequence = page->claim.claimed();
    if (sequence == 0) continue;
    const RunLane* lane = page->LaneOf(sequence, kLanes);
    // A later task may be in the lane by now, never an earlier one.
    if (lane != nullptr) CHECK(lane->started_us() >= sequence);
    if (lane == nullptr) {
      // Its place in the ring may have been taken, by one that was claimed far behind it.
      const bool ended = page->ended.Has(sequence);
      CHECK(ended || page->claim.claimed() >= sequence + EndRing::kPlaces);
    }
    ++seen;
  }
  worker.join();
}

}  // namespace

int main() { return bosun::test::RunAll(); }
