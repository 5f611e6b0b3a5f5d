// Fifo and PriorityQueue beside moodycamel::ConcurrentQueue (no tokens) and atomic_queue, one item at a time.
//
// Runs are interleaved, figures are medians of BOSUN_ROUNDS (default 9) runs of BOSUN_ITEMS (default 1 M) items, in
// nanoseconds for each item. The ratio is the speed of Fifo over that of the row's faster rival: above 1 is faster than
// both. atomic_queue is bounded and gets the capacity that it needs: 64 k, in the rows of depth more.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "queue/fifo.h"
#include "queue/priority_queue.h"

#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#define HAVE_MOODYCAMEL 1
#endif
#if __has_include(<atomic_queue/atomic_queue.h>)
#include <atomic_queue/atomic_queue.h>
#define HAVE_ATOMIC_QUEUE 1
#endif

namespace {

struct FifoUnderTest {
  explicit FifoUnderTest(std::uint64_t) {}
  static constexpr const char* kName = "Fifo";
  static constexpr bool kRival = false;
  void Push(std::uint32_t value) { fifo.Push(value); }
  bool TryPop(std::uint32_t* value) { return fifo.TryPop(value); }
  bosun::SegmentPool pool;
  bosun::Fifo fifo{pool};
};

struct PriorityUnderTest {
  explicit PriorityUnderTest(std::uint64_t) {}
  static constexpr const char* kName = "Priority";
  static constexpr bool kRival = false;
  void Push(std::uint32_t value) { queue.Push(1, value); }
  bool TryPop(std::uint32_t* value) {
    std::uint32_t level;
    return queue.TryPop(value, &level);
  }
  bosun::PriorityQueue queue{2};
};

#ifdef HAVE_MOODYCAMEL
struct Moodycamel {
  explicit Moodycamel(std::uint64_t) {}
  static constexpr const char* kName = "moodycamel";
  static constexpr bool kRival = true;
  void Push(std::uint32_t value) { queue.enqueue(value); }
  bool TryPop(std::uint32_t* value) { return queue.try_dequeue(*value); }
  moodycamel::ConcurrentQueue<std::uint32_t> queue;
};
#endif

#ifdef HAVE_ATOMIC_QUEUE
struct AtomicQueue {
  explicit AtomicQueue(std::uint64_t capacity) : queue(static_cast<unsigned>(capacity)) {}
  static constexpr const char* kName = "atomic_queue";
  static constexpr bool kRival = true;
  void Push(std::uint32_t value) {
    while (!queue.try_push(value + 1)) {  // 0 means none there
      std::this_thread::yield();
    }
  }
  bool TryPop(std::uint32_t* value) { return queue.try_pop(*value); }
  atomic_queue::AtomicQueueB<std::uint32_t> queue;
};
#endif

std::uint64_t FromEnv(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

using Clock = std::chrono::steady_clock;

volatile std::uint64_t sink;  // keeps the loops from being removed

double NanosecondsEach(Clock::time_point start, std::uint64_t items) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(items);
}

template <typename Queue>
double Concurrent(std::uint32_t producers, std::uint32_t consumers, std::uint64_t items) {
  const auto queue = std::make_unique<Queue>(1 << 16);
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<bool> go{false};
  std::atomic<std::uint64_t> left{items / producers * producers};
  std::vector<std::thread> threads;
  const auto start_together = [&] {
    waiting.fetch_add(1);
    while (!go.load()) {
      std::this_thread::yield();
    }
  };
  for (std::uint32_t p = 0; p < producers; ++p) {
    threads.emplace_back([&] {
      start_together();
      for (std::uint64_t i = 0; i < items / producers; ++i) {
        queue->Push(static_cast<std::uint32_t>(i));
      }
    });
  }
  for (std::uint32_t c = 0; c < consumers; ++c) {
    threads.emplace_back([&] {
      start_together();
      std::uint64_t taken = 0;
      std::uint32_t value = 0;
      for (std::uint32_t misses = 0;;) {
        if (queue->TryPop(&value)) {
          misses = 0;
          if (++taken == 64) {
            left.fetch_sub(taken);
            taken = 0;
          }
          continue;
        }
        if (taken != 0) {
          left.fetch_sub(taken);
          taken = 0;
        }
        if (left.load() == 0) {
          return;
        }
        if (++misses % 16 == 0) {
          std::this_thread::yield();
        }
      }
    });
  }
  while (waiting.load() != producers + consumers) {
    std::this_thread::yield();
  }
  const auto start = Clock::now();
  go.store(true);
  for (auto& thread : threads) {
    thread.join();
  }
  return NanosecondsEach(start, items);
}

template <typename Queue>
double Pairs(std::uint64_t items) {
  const auto queue = std::make_unique<Queue>(1 << 16);
  std::uint32_t value = 0;
  std::uint64_t sum = 0;
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < items; ++i) {
    queue->Push(static_cast<std::uint32_t>(i));
    queue->TryPop(&value);
    sum += value;
  }
  const double each = NanosecondsEach(start, items);
  sink = sum;
  return each;
}

// Fills the queue to `depth`, then empties it, until `items` have passed.
template <typename Queue>
double Depth(std::uint64_t depth, std::uint64_t items) {
  const auto queue = std::make_unique<Queue>(std::max<std::uint64_t>(1 << 16, 2 * depth));
  const std::uint64_t rounds = std::max<std::uint64_t>(1, items / depth);
  std::uint32_t value = 0;
  const auto start = Clock::now();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < depth; ++i) {
      queue->Push(static_cast<std::uint32_t>(i));
    }
    for (std::uint64_t i = 0; i < depth; ++i) {
      queue->TryPop(&value);
    }
  }
  return NanosecondsEach(start, rounds * depth);
}

enum class Kind { kPairs, kConcurrent, kDepth };

struct Row {
  const char* name;
  Kind kind;
  std::uint64_t a;
  std::uint64_t b;
};

template <typename Queue>
double RunOnce(const Row& row, std::uint64_t items) {
  switch (row.kind) {
    case Kind::kPairs:
      return Pairs<Queue>(items);
    case Kind::kConcurrent:
      return Concurrent<Queue>(static_cast<std::uint32_t>(row.a), static_cast<std::uint32_t>(row.b), items);
    default:
      return Depth<Queue>(row.a, items);
  }
}

template <typename... Queues>
void Table(std::uint64_t rounds, std::uint64_t items) {
  constexpr Row kRows[] = {
      {"push+pop, 1 thread", Kind::kPairs, 0, 0},
      {"1 producer, 1 consumer", Kind::kConcurrent, 1, 1},
      {"2 producers, 2 consumers", Kind::kConcurrent, 2, 2},
      {"3 producers, 1 consumer", Kind::kConcurrent, 3, 1},
      {"depth 1 k", Kind::kDepth, 1000, 0},
      {"depth 10 k", Kind::kDepth, 10000, 0},
      {"depth 100 k", Kind::kDepth, 100000, 0},
      {"depth 1 M", Kind::kDepth, 1000000, 0},
  };
  constexpr std::size_t kCount = sizeof...(Queues);
  constexpr bool kRival[] = {Queues::kRival...};
  std::printf("%-26s", "ns for each item");
  (std::printf("%14s", Queues::kName), ...);
  std::printf("%14s\n", "ratio");
  for (const Row& row : kRows) {
    std::vector<double> times[kCount];
    for (std::uint64_t round = 0; round < rounds; ++round) {
      std::size_t at = 0;
      (times[at++].push_back(RunOnce<Queues>(row, items)), ...);
    }
    double best_rival = 0;
    std::printf("%-26s", row.name);
    for (std::size_t at = 0; at < kCount; ++at) {
      std::sort(times[at].begin(), times[at].end());
      const double median = times[at][rounds / 2];
      if (kRival[at] && (best_rival == 0 || median < best_rival)) {
        best_rival = median;
      }
      std::printf("%14.1f", median);
    }
    if (best_rival != 0) {
      std::printf("%14.2f", best_rival / times[0][rounds / 2]);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

}  // namespace

int main() {
  const std::uint64_t rounds = FromEnv("BOSUN_ROUNDS", 9) | 1;
  const std::uint64_t items = std::max<std::uint64_t>(1000000, FromEnv("BOSUN_ITEMS", 1000000));
  std::printf("%u cores, %llu rounds, %llu items\n", std::thread::hardware_concurrency(),
              static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(items));
#if defined(HAVE_MOODYCAMEL) && defined(HAVE_ATOMIC_QUEUE)
  Table<FifoUnderTest, PriorityUnderTest, Moodycamel, AtomicQueue>(rounds, items);
#else
  std::printf("rivals are missing: install libconcurrentqueue-dev and libatomic-queue-dev to compare\n");
  Table<FifoUnderTest, PriorityUnderTest>(rounds, items);
#endif
  return 0;
}
