// The claim word between a manager and a worker, alone and in a race.

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "process/status_page.h"

namespace {

using bosun::ClaimWord;

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

}  // namespace

int main() { return bosun::test::RunAll(); }
