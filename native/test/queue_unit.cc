// Fifo and PriorityQueue on one thread: order, boundaries of segments, memory, levels.
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "queue/fifo.h"
#include "queue/priority_queue.h"
#include "test/check.h"

using bosun::Fifo;
using bosun::PriorityQueue;
using bosun::SegmentPool;

namespace {

constexpr std::uint32_t kSlots = bosun::BasicSegment<bosun::QueueTraits>::kSlots;

void ExpectPop(Fifo& fifo, std::uint32_t expected) {
  std::uint32_t value = 0;
  CHECK(fifo.TryPop(&value));
  CHECK_EQ(value, expected);
}

void ExpectNone(Fifo& fifo) {
  std::uint32_t value = 42;
  CHECK(!fifo.TryPop(&value));
  CHECK_EQ(value, 42u);
  CHECK(fifo.Empty());
  CHECK_EQ(fifo.ApproxSize(), 0u);
}

}  // namespace

TEST(FifoIsEmptyAtFirst) {
  SegmentPool pool;
  Fifo fifo(pool);
  for (int i = 0; i < 100000; ++i) {  // more often than a word has tickets
    ExpectNone(fifo);
  }
  CHECK_EQ(pool.allocated(), 0u);
}

TEST(FifoKeepsOrder) {
  SegmentPool pool;
  Fifo fifo(pool);
  for (std::uint32_t value = 0; value < 10; ++value) {
    fifo.Push(value);
  }
  CHECK(!fifo.Empty());
  CHECK_EQ(fifo.ApproxSize(), 10u);
  for (std::uint32_t value = 0; value < 10; ++value) {
    ExpectPop(fifo, value);
  }
  ExpectNone(fifo);
}

TEST(FifoTakesTheSmallestAndTheLargestValue) {
  SegmentPool pool;
  Fifo fifo(pool);
  fifo.Push(0);
  fifo.Push(Fifo::kMaxValue);
  fifo.Push(0);
  ExpectPop(fifo, 0);
  ExpectPop(fifo, Fifo::kMaxValue);
  ExpectPop(fifo, 0);
  ExpectNone(fifo);
  CHECK_EQ(Fifo::kMaxValue, 0xFFFFFFFCu);
}

TEST(FifoCrossesSegmentsAtEveryFill) {
  for (const std::uint32_t count : {1u, kSlots - 1, kSlots, kSlots + 1, 2 * kSlots - 1, 2 * kSlots, 2 * kSlots + 1}) {
    SegmentPool pool;
    Fifo fifo(pool);
    for (int round = 0; round < 5; ++round) {
      for (std::uint32_t i = 0; i < count; ++i) {
        fifo.Push(i);
        CHECK_EQ(fifo.ApproxSize(), i + 1);
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        ExpectPop(fifo, i);
        CHECK_EQ(fifo.ApproxSize(), count - 1 - i);
      }
      for (int i = 0; i < 3; ++i) {
        ExpectNone(fifo);
      }
    }
    CHECK(pool.allocated() <= 4);
  }
}

TEST(FifoSlidesOverManySegments) {
  for (const std::uint32_t depth : {1u, 7u, kSlots - 1, kSlots, 3 * kSlots + 5}) {
    SegmentPool pool;
    Fifo fifo(pool);
    std::uint32_t pushed = 0;
    std::uint32_t popped = 0;
    while (pushed < depth) {
      fifo.Push(pushed++);
    }
    for (std::uint32_t i = 0; i < 200 * kSlots; ++i) {
      fifo.Push(pushed++);
      ExpectPop(fifo, popped++);
    }
    CHECK_EQ(fifo.ApproxSize(), depth);
    CHECK(pool.allocated() <= depth / kSlots + 4);
  }
}

TEST(FifoGivesMemoryBackAfterABurst) {
  SegmentPool pool;
  Fifo fifo(pool);
  constexpr std::uint32_t kBurst = 1000 * kSlots;
  for (std::uint32_t i = 0; i < kBurst; ++i) {
    fifo.Push(i);
  }
  CHECK_EQ(pool.allocated(), 1000u);
  for (std::uint32_t i = 0; i < kBurst; ++i) {
    ExpectPop(fifo, i);
  }
  ExpectNone(fifo);
  CHECK(pool.allocated() <= SegmentPool::kCached + 1);
}

TEST(FifoMayBeDestroyedWithItems) {
  for (const std::uint32_t count : {0u, 1u, kSlots, 5 * kSlots + 3}) {
    SegmentPool pool;
    {
      Fifo fifo(pool);
      for (std::uint32_t i = 0; i < count; ++i) {
        fifo.Push(i);
      }
    }
    CHECK(pool.allocated() <= SegmentPool::kCached);
  }
}

TEST(FifosShareAPool) {
  SegmentPool pool;
  Fifo a(pool);
  Fifo b(pool);
  for (std::uint32_t i = 0; i < 10 * kSlots; ++i) {
    a.Push(i);
    b.Push(~i & Fifo::kMaxValue);
    ExpectPop(a, i);
    ExpectPop(b, ~i & Fifo::kMaxValue);
  }
  CHECK(pool.allocated() <= 4);
}

TEST(PriorityQueuePopsTheMostUrgentLevelFirst) {
  PriorityQueue queue(128);
  CHECK_EQ(queue.levels(), 128u);
  CHECK_EQ(queue.FirstLevel(), 128u);
  for (std::uint32_t level = 128; level-- > 0;) {
    queue.Push(level, level);
    queue.Push(level, level + 1000);
    CHECK_EQ(queue.FirstLevel(), level);
  }
  CHECK_EQ(queue.ApproxSize(), 256u);
  CHECK_EQ(queue.ApproxSize(64), 2u);
  std::uint32_t value = 0;
  std::uint32_t level = 0;
  for (std::uint32_t expected = 0; expected < 128; ++expected) {
    CHECK_EQ(queue.FirstLevel(), expected);
    CHECK(queue.TryPop(&value, &level));
    CHECK_EQ(level, expected);
    CHECK_EQ(value, expected);
    CHECK(queue.TryPop(&value, &level));
    CHECK_EQ(level, expected);
    CHECK_EQ(value, expected + 1000);
  }
  CHECK(!queue.TryPop(&value, &level));
  CHECK_EQ(queue.FirstLevel(), 128u);
}

TEST(PriorityQueueWithoutItemsHoldsNoSegments) {
  PriorityQueue queue(128);
  std::uint32_t value;
  std::uint32_t level;
  CHECK(!queue.TryPop(&value, &level));
  CHECK(!queue.TryPopLevel(127, &value));
  CHECK_EQ(queue.allocated(), 0u);
  queue.Push(127, 1);
  CHECK_EQ(queue.allocated(), 1u);
}

TEST(PriorityQueuePopsFromOneLevel) {
  PriorityQueue queue(2);
  std::uint32_t value = 0;
  std::uint32_t level = 0;
  queue.Push(0, 1);
  queue.Push(1, 2);
  CHECK(queue.TryPopLevel(1, &value));
  CHECK_EQ(value, 2u);
  CHECK(!queue.TryPopLevel(1, &value));
  CHECK(queue.TryPop(&value, &level));
  CHECK_EQ(value, 1u);
  CHECK(!queue.TryPop(&value, &level));
  CHECK_EQ(queue.FirstLevel(), 2u);
}

TEST(PriorityQueueAgreesWithAModel) {
  std::mt19937 random(1);
  for (const std::uint32_t levels : {1u, 2u, 63u, 64u, 65u, 127u, 128u}) {
    PriorityQueue queue(levels);
    std::vector<std::deque<std::uint32_t>> model(levels);
    std::size_t size = 0;
    for (std::uint32_t i = 0; i < 60000; ++i) {
      // Long stretches of more pushes, then of more pops, so that the queue gets deep and falls empty.
      const bool push = random() % 16 < ((i >> 12) % 2 == 0 ? 10u : 5u);
      std::uint32_t value = 0;
      if (push) {
        const std::uint32_t level = random() % levels;
        queue.Push(level, i);
        model[level].push_back(i);
        ++size;
      } else if (random() % 8 == 0) {
        const std::uint32_t level = random() % levels;
        CHECK_EQ(queue.TryPopLevel(level, &value), !model[level].empty());
        if (!model[level].empty()) {
          CHECK_EQ(value, model[level].front());
          model[level].pop_front();
          --size;
        }
      } else {
        std::uint32_t expected = 0;
        while (expected < levels && model[expected].empty()) {
          ++expected;
        }
        std::uint32_t level = 0;
        CHECK_EQ(queue.TryPop(&value, &level), expected < levels);
        if (expected < levels) {
          CHECK_EQ(level, expected);
          CHECK_EQ(value, model[level].front());
          model[level].pop_front();
          --size;
        }
      }
      CHECK_EQ(queue.ApproxSize(), size);
    }
  }
}

int main() { return bosun::test::RunAll(); }
