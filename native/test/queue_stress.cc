// Many threads on Fifo, PriorityQueue and QueueTable: order for each producer and level, nothing lost, nothing doubled,
// the priority rule, and memory that stays bounded. argv[1] is the seed.
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "queue/fifo.h"
#include "queue/priority_queue.h"
#include "queue/queue_table.h"
#include "test/chaos.h"
#include "test/check.h"

namespace {

using bosun::BasicFifo;
using bosun::BasicPriorityQueue;
using bosun::BasicSegmentPool;
using bosun::QueueHandle;
using bosun::QueueTable;
using bosun::QueueTraits;
using bosun::test::chaos;
using bosun::test::ChaosTraits;
using bosun::test::Random;
using bosun::test::Scaled;

std::uint64_t seed;

template <typename Body>
void RunThreads(std::uint32_t count, Body body) {
  std::vector<std::thread> threads;
  for (std::uint32_t index = 0; index < count; ++index) {
    threads.emplace_back([&body, index] {
      chaos = Random(seed + index);
      body(index);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

// Every value belongs to one producer and counts up inside it.
class Ledger {
 public:
  Ledger(std::uint32_t producers, std::uint32_t each)
      : each_(each), seen_(std::make_unique<std::atomic<std::uint8_t>[]>(std::size_t{producers} * each)) {}

  std::uint32_t Value(std::uint32_t producer, std::uint32_t number) const { return producer * each_ + number; }
  std::uint32_t ProducerOf(std::uint32_t value) const { return value / each_; }
  void Took(std::uint32_t value) { CHECK_EQ(seen_[value].fetch_add(1), 0); }

 private:
  const std::uint32_t each_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> seen_;
};

struct Shape {
  std::uint32_t producers;
  std::uint32_t consumers;
  std::uint32_t each;
  std::uint32_t limit;  // items in the queue at most, roughly; 0 for any number
};

// All values are taken exactly once if none is taken twice and as many are taken as were pushed.
template <typename Traits>
void StressFifo(const Shape& shape) {
  BasicSegmentPool<Traits> pool;
  BasicFifo<Traits> fifo(pool);
  Ledger ledger(shape.producers, shape.each);
  const std::uint64_t total = std::uint64_t{shape.producers} * shape.each;
  std::atomic<std::uint64_t> pushed{0};
  std::atomic<std::uint64_t> taken{0};
  RunThreads(shape.producers + shape.consumers, [&](std::uint32_t index) {
    if (index < shape.producers) {
      for (std::uint32_t i = 0; i < shape.each; ++i) {
        while (shape.limit != 0 && pushed.load() - taken.load() >= shape.limit) {
          std::this_thread::yield();
        }
        pushed.fetch_add(1);
        fifo.Push(ledger.Value(index, i));
      }
      return;
    }
    std::vector<std::int64_t> last(shape.producers, -1);
    while (taken.load() < total) {
      std::uint32_t value;
      if (!fifo.TryPop(&value)) {
        std::this_thread::yield();
        continue;
      }
      const std::uint32_t producer = ledger.ProducerOf(value);
      CHECK(producer < shape.producers);
      CHECK(value > last[producer]);
      last[producer] = value;
      ledger.Took(value);
      if (taken.fetch_add(1) % 256 == 0 && shape.limit != 0) {
        // Full segments, one at each end, the cache, and for each thread one in its hands and one that it holds back.
        const std::uint64_t slots = std::uint64_t{1} << Traits::kSlotBits;
        CHECK(pool.allocated() <=
              (shape.limit + shape.producers) / slots + 2 + pool.kCached + 2 * (shape.producers + shape.consumers));
      }
    }
  });
  std::uint32_t value;
  CHECK_EQ(taken.load(), total);
  CHECK(!fifo.TryPop(&value));
  CHECK(fifo.Empty());
  CHECK(pool.allocated() <= pool.kCached + 2 + shape.producers + shape.consumers);
}

// One slot for each consumer, on a line of its own: true from before its pop until the pop has been counted.
struct alignas(128) Busy {
  std::atomic<bool> now{false};
};

// The priority rule, checked while it happens. If a pop took from `level` (or found nothing), then of each more urgent
// level, all pushes that had returned before the pop began were taken: by pops that have been counted, or by one that
// another consumer is still busy with. `busy` is read before the counts, so no pop falls between the two.
template <typename Traits>
void StressPriority(const Shape& shape, std::uint32_t levels) {
  BasicPriorityQueue<Traits> queue(levels);
  Ledger ledger(shape.producers, shape.each);
  const std::uint64_t total = std::uint64_t{shape.producers} * shape.each;
  std::vector<std::atomic<std::int64_t>> returned(levels);
  std::vector<std::atomic<std::int64_t>> counted(levels);
  std::vector<Busy> busy(shape.consumers);
  std::atomic<std::uint64_t> pushed{0};
  std::atomic<std::uint64_t> taken{0};
  RunThreads(shape.producers + shape.consumers, [&](std::uint32_t index) {
    if (index < shape.producers) {
      Random random(seed * 31 + index);
      for (std::uint32_t i = 0; i < shape.each; ++i) {
        while (shape.limit != 0 && pushed.load() - taken.load() >= shape.limit) {
          std::this_thread::yield();
        }
        pushed.fetch_add(1);
        const std::uint32_t level = random.Below(levels);
        queue.Push(level, ledger.Value(index, i));
        returned[level].fetch_add(1);
      }
      return;
    }
    const std::uint32_t self = index - shape.producers;
    std::vector<std::int64_t> last(std::size_t{shape.producers} * levels, -1);
    std::vector<std::int64_t> owed(levels);
    while (taken.load() < total) {
      busy[self].now.store(true);
      for (std::uint32_t level = 0; level < levels; ++level) {
        owed[level] = returned[level].load();
      }
      std::uint32_t value;
      std::uint32_t level = levels;
      const bool popped = queue.TryPop(&value, &level);
      if (popped) {
        CHECK(level < levels);
        counted[level].fetch_add(1);
      }
      std::int64_t others = 0;
      for (std::uint32_t consumer = 0; consumer < shape.consumers; ++consumer) {
        others += consumer != self && busy[consumer].now.load() ? 1 : 0;
      }
      for (std::uint32_t urgent = 0; urgent < level; ++urgent) {
        CHECK(owed[urgent] <= counted[urgent].load() + others);
      }
      busy[self].now.store(false);
      if (!popped) {
        std::this_thread::yield();
        continue;
      }
      const std::uint32_t producer = ledger.ProducerOf(value);
      CHECK(producer < shape.producers);
      std::int64_t& before = last[producer * levels + level];
      CHECK(value > before);
      before = value;
      ledger.Took(value);
      taken.fetch_add(1);
    }
  });
  std::uint32_t value;
  std::uint32_t level;
  CHECK_EQ(taken.load(), total);
  CHECK(!queue.TryPop(&value, &level));
  CHECK_EQ(queue.FirstLevel(), levels);
}

}  // namespace

TEST(FifoManyToMany) { StressFifo<QueueTraits>({3, 3, static_cast<std::uint32_t>(Scaled(300000)), 0}); }
TEST(FifoManyToOne) { StressFifo<QueueTraits>({4, 1, static_cast<std::uint32_t>(Scaled(150000)), 0}); }
TEST(FifoOneToMany) { StressFifo<QueueTraits>({1, 4, static_cast<std::uint32_t>(Scaled(300000)), 0}); }
TEST(FifoStaysSmall) { StressFifo<QueueTraits>({2, 2, static_cast<std::uint32_t>(Scaled(400000)), 3000}); }
TEST(FifoNearlyEmpty) { StressFifo<QueueTraits>({2, 3, static_cast<std::uint32_t>(Scaled(100000)), 2}); }

TEST(FifoManyToManyInChaos) { StressFifo<ChaosTraits>({3, 3, static_cast<std::uint32_t>(Scaled(60000)), 0}); }
TEST(FifoStaysSmallInChaos) { StressFifo<ChaosTraits>({4, 4, static_cast<std::uint32_t>(Scaled(40000)), 40}); }
TEST(FifoNearlyEmptyInChaos) { StressFifo<ChaosTraits>({2, 3, static_cast<std::uint32_t>(Scaled(60000)), 2}); }
TEST(FifoWithMoreThreadsThanSlots) { StressFifo<ChaosTraits>({24, 24, static_cast<std::uint32_t>(Scaled(3000)), 60}); }

TEST(PriorityManyToMany) { StressPriority<QueueTraits>({2, 2, static_cast<std::uint32_t>(Scaled(100000)), 0}, 8); }
TEST(PriorityAllLevels) { StressPriority<QueueTraits>({2, 2, static_cast<std::uint32_t>(Scaled(50000)), 200}, 128); }
TEST(PriorityNearlyEmpty) { StressPriority<QueueTraits>({2, 2, static_cast<std::uint32_t>(Scaled(100000)), 6}, 2); }
TEST(PriorityInChaos) { StressPriority<ChaosTraits>({3, 3, static_cast<std::uint32_t>(Scaled(40000)), 8}, 3); }
TEST(PriorityTwoConsumersInChaos) {
  StressPriority<ChaosTraits>({3, 2, static_cast<std::uint32_t>(Scaled(60000)), 6}, 2);
}

// A value carries the handle that it was pushed by; it must never come out of a queue that another handle names.
TEST(QueueTableUnderFire) {
  QueueTable& table = QueueTable::Instance();
  constexpr std::uint32_t kThreads = 4;
  std::atomic<QueueHandle> handles[8] = {};
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> closed{0};
  const auto tag = [](QueueHandle handle) { return static_cast<std::uint32_t>(handle ^ (handle >> 10)) & 0xFFFFFF; };
  RunThreads(kThreads, [&](std::uint32_t index) {
    Random random(seed * 17 + index);
    for (std::uint64_t i = Scaled(100000); i > 0; --i) {
      auto& cell = handles[random.Below(8)];
      const QueueHandle handle = cell.load();
      const std::uint32_t dice = random.Below(16);
      if (dice == 0) {
        // The handle that is replaced stays open unless this closes it; others may still try the old one.
        const QueueHandle fresh = table.Open(1 + random.Below(4));
        CHECK(fresh != 0);
        opened.fetch_add(1);
        const QueueHandle old = cell.exchange(fresh);
        closed.fetch_add(table.Close(old) ? 1 : 0);
      } else if (dice == 1) {
        closed.fetch_add(table.Close(handle) ? 1 : 0);
      } else if (const auto pin = table.Acquire(handle)) {
        pin->Push(0, tag(handle));
        std::uint32_t value;
        std::uint32_t level;
        if (random.Below(2) == 0 && pin->TryPop(&value, &level)) {
          CHECK_EQ(value, tag(handle));
        }
      }
    }
  });
  for (auto& cell : handles) {
    closed.fetch_add(table.Close(cell.load()) ? 1 : 0);
    CHECK(!table.Acquire(cell.load()));
  }
  CHECK_EQ(opened.load(), closed.load());
}

int main(int argc, char** argv) {
  seed = bosun::test::SeedOf(argc, argv);
  return bosun::test::RunAll();
}
