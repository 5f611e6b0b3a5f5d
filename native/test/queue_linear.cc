// Linearizability of Fifo, and of PriorityQueue as far as it promises: threads run a few operations at once, calls and
// returns are stamped by one clock, and linearizable.h judges. The judge is judged first, by histories made by hand.
// argv[1] is the seed.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "queue/fifo.h"
#include "queue/priority_queue.h"
#include "test/chaos.h"
#include "test/check.h"
#include "test/linearizable.h"

namespace {

using bosun::test::chaos;
using bosun::test::ChaosTraits;
using bosun::test::History;
using bosun::test::kNothing;
using bosun::test::Linearizable;
using bosun::test::Op;
using bosun::test::Pop;
using bosun::test::Push;
using bosun::test::Random;
using bosun::test::Rule;
using bosun::test::Scaled;
using bosun::test::Show;

std::uint64_t seed;

class FifoQueue {
 public:
  static constexpr Rule kRule = Rule::kStrict;
  static constexpr std::uint32_t kLevels = 1;
  void Push(std::uint32_t, std::uint32_t value) { fifo_.Push(value); }
  bool TryPop(std::uint32_t* value, std::uint32_t* level) {
    *level = 0;
    return fifo_.TryPop(value);
  }

 private:
  bosun::BasicSegmentPool<ChaosTraits> pool_;
  bosun::BasicFifo<ChaosTraits> fifo_{pool_};
};

template <std::uint32_t levels>
class LevelQueue {
 public:
  // With one level, a pop looks at one Fifo, once.
  static constexpr Rule kRule = levels == 1 ? Rule::kStrict : Rule::kPromise;
  static constexpr std::uint32_t kLevels = levels;
  void Push(std::uint32_t level, std::uint32_t value) { queue_.Push(level, value); }
  bool TryPop(std::uint32_t* value, std::uint32_t* level) { return queue_.TryPop(value, level); }

 private:
  bosun::BasicPriorityQueue<ChaosTraits> queue_{levels};
};

// Threads meet at the start of each round; whoever is last to finish a round drains the queue, checks and begins anew.
template <typename Queue>
class Rounds {
 public:
  Rounds(std::uint32_t threads, std::uint32_t ops, std::uint64_t rounds)
      : threads_(threads), ops_(ops), rounds_(rounds), histories_(threads) {}

  void Run() {
    std::vector<std::thread> threads;
    for (std::uint32_t index = 0; index < threads_; ++index) {
      threads.emplace_back([this, index] { Thread(index); });
    }
    for (auto& thread : threads) {
      thread.join();
    }
  }

 private:
  void Thread(std::uint32_t index) {
    chaos = Random(seed * 101 + index);
    Random random(seed * 103 + index);
    for (std::uint64_t round = 0; round < rounds_; ++round) {
      while (round_.load() != round) {
        std::this_thread::yield();
      }
      // Each round leans to pushes or to pops.
      const std::uint32_t pushes = 2 + Random(seed + round).Below(5);
      for (std::uint32_t i = 0; i < ops_; ++i) {
        if (random.Below(8) < pushes) {
          RecordPush(index, random.Below(Queue::kLevels), index * 100 + i);
        } else {
          RecordPop(index);
        }
      }
      if (finished_.fetch_add(1) + 1 == threads_) {
        finished_.store(0);
        CheckRound(index);
        round_.store(round + 1);
      }
    }
  }

  void RecordPush(std::uint32_t index, std::uint32_t level, std::uint32_t value) {
    Op op{true, level, value, clock_.fetch_add(1), 0};
    queue_.Push(level, value);
    op.ret = clock_.fetch_add(1);
    histories_[index].push_back(op);
  }

  bool RecordPop(std::uint32_t index) {
    Op op{false, kNothing, kNothing, clock_.fetch_add(1), 0};
    const bool popped = queue_.TryPop(&op.value, &op.level);
    if (!popped) {
      op.level = op.value = kNothing;
    }
    op.ret = clock_.fetch_add(1);
    histories_[index].push_back(op);
    return popped;
  }

  void CheckRound(std::uint32_t index) {
    while (RecordPop(index)) {
    }
    History all;
    for (History& history : histories_) {
      all.insert(all.end(), history.begin(), history.end());
      history.clear();
    }
    if (!Linearizable(all, Queue::kRule)) {
      Show(all);
      CHECK(!"the history is linearizable");
    }
  }

  const std::uint32_t threads_;
  const std::uint32_t ops_;
  const std::uint64_t rounds_;
  Queue queue_;
  std::vector<History> histories_;
  std::atomic<std::uint64_t> clock_{0};
  std::atomic<std::uint64_t> round_{0};
  std::atomic<std::uint32_t> finished_{0};
};

}  // namespace

TEST(CheckerAcceptsWhatIsLinearizable) {
  for (const History& history : {
           History{},
           History{Pop(0, 1, kNothing)},
           History{Push(0, 1, 1), Push(2, 3, 2), Pop(4, 5, 1), Pop(6, 7, 2), Pop(8, 9, kNothing)},
           // Pushes at once come out in any order, pops at once answer in any order.
           History{Push(0, 2, 1), Push(1, 3, 2), Pop(4, 5, 2), Pop(6, 7, 1)},
           History{Push(0, 1, 1), Push(2, 3, 2), Pop(4, 6, 2), Pop(5, 7, 1)},
           // A pop may take a value before its push returns, and may find nothing while it has not.
           History{Push(0, 9, 1), Pop(1, 2, kNothing), Pop(3, 4, 1), Pop(5, 6, kNothing)},
           History{Push(0, 1, 1), Pop(2, 5, kNothing), Pop(3, 4, 1)},
       }) {
    CHECK(Linearizable(history, Rule::kStrict));
    CHECK(Linearizable(history, Rule::kPromise));
  }
}

TEST(CheckerRejectsWhatIsNot) {
  for (const History& history : {
           History{Push(0, 1, 1), Push(2, 3, 2), Pop(4, 5, 2)},                       // out of order
           History{Push(0, 1, 1), Push(2, 3, 2), Pop(4, 5, 2), Pop(6, 7, 1)},         // the same, one after another
           History{Push(0, 1, 1), Pop(2, 3, kNothing)},                               // lost
           History{Push(0, 1, 1), Push(2, 3, 2), Pop(4, 5, 1), Pop(6, 7, kNothing)},  // lost later
           History{Push(0, 1, 1), Pop(2, 3, 1), Pop(4, 5, 1)},                        // doubled
           History{Push(0, 1, 1), Pop(2, 4, 1), Pop(3, 5, 1)},                        // doubled at once
           History{Pop(0, 1, 7)},                                                     // from nowhere
           History{Pop(0, 1, 1), Push(2, 3, 1)},                                      // before its push
           History{Push(0, 1, 1), Push(2, 5, 2), Pop(3, 4, kNothing)},                // only the second is running
           History{Push(0, 2, 1), Push(1, 3, 2), Push(4, 5, 3), Pop(6, 7, 3)},        // the third overtakes
           History{Push(0, 9, 1), Pop(1, 2, 1), Pop(3, 4, kNothing), Pop(5, 6, 1)},   // came back
           History{Push(0, 1, 1), Push(2, 3, 2), Push(4, 5, 3), Pop(6, 8, 3), Pop(7, 9, 2)},  // the first is skipped
       }) {
    CHECK(!Linearizable(history, Rule::kStrict));
    CHECK(!Linearizable(history, Rule::kPromise));
  }
}

TEST(CheckerKnowsThePriorityRule) {
  // The urgent push had returned.
  CHECK(!Linearizable({Push(0, 1, 1, 1), Push(2, 3, 2, 0), Pop(4, 5, 1, 1)}, Rule::kPromise));
  CHECK(!Linearizable({Push(0, 1, 1, 0), Push(2, 3, 2, 1), Pop(4, 7, 2, 1), Push(5, 6, 3, 0)}, Rule::kPromise));
  // It had not.
  CHECK(Linearizable({Push(0, 1, 1, 1), Push(2, 5, 2, 0), Pop(3, 4, 1, 1)}, Rule::kStrict));
  // The pop looks at level 0, then the pushes come, then it looks at level 1: only the strict rule forbids that.
  const History late{Pop(0, 9, 2, 1), Push(1, 2, 1, 0), Push(3, 4, 2, 1)};
  CHECK(!Linearizable(late, Rule::kStrict));
  CHECK(Linearizable(late, Rule::kPromise));
  // Nothing, while value 1 was there before and after.
  CHECK(!Linearizable({Push(0, 1, 1, 1), Pop(2, 9, kNothing), Push(3, 4, 2, 0), Pop(5, 6, 2, 0), Pop(10, 11, 1, 1)},
                      Rule::kPromise));
}

TEST(FifoTwoThreads) { Rounds<FifoQueue>(2, 6, Scaled(30000)).Run(); }
TEST(FifoThreeThreads) { Rounds<FifoQueue>(3, 5, Scaled(20000)).Run(); }
TEST(FifoFourThreads) { Rounds<FifoQueue>(4, 4, Scaled(15000)).Run(); }
TEST(OneLevel) { Rounds<LevelQueue<1>>(3, 5, Scaled(10000)).Run(); }
TEST(TwoLevels) { Rounds<LevelQueue<2>>(3, 5, Scaled(20000)).Run(); }
TEST(ThreeLevelsFourThreads) { Rounds<LevelQueue<3>>(4, 4, Scaled(15000)).Run(); }

int main(int argc, char** argv) {
  seed = bosun::test::SeedOf(argc, argv);
  return bosun::test::RunAll();
}
