// One operation is stopped at each point where another thread may come between, others run there from start to end, and
// then it goes on: every interleaving of that kind, without threads and always the same. It finds what needs a long
// pause at the wrong moment, such as a segment that leaves the queue and comes back between two loads.
#include <cstdint>
#include <vector>

#include "queue/fifo.h"
#include "queue/priority_queue.h"
#include "test/check.h"
#include "test/linearizable.h"

namespace {

using bosun::test::History;
using bosun::test::kNothing;
using bosun::test::Linearizable;
using bosun::test::Op;
using bosun::test::Rule;

class Interrupt {
 public:
  virtual void Run() noexcept = 0;

 protected:
  ~Interrupt() = default;
};

// What comes at the point number `points_left` from now.
Interrupt* interrupt = nullptr;
std::uint32_t points_left = 0;

struct InterruptTraits {
  static constexpr std::uint32_t kSlotBits = 4;
  static void Between() noexcept {
    if (interrupt != nullptr && --points_left == 0) {
      Interrupt* const now = interrupt;
      interrupt = nullptr;
      now->Run();
    }
  }
};

// What the others do meanwhile: pushes and pops in turns, and at the end pops until nothing is there, if so wanted.
struct Script {
  std::uint32_t pops_first;
  std::uint32_t pushes;
  std::uint32_t pops;
  bool drain;
  std::uint32_t inner_point = 0;  // not 0: the first pop is itself stopped there, and another pop runs
};

class Case final : public Interrupt {
 public:
  Case(std::uint32_t levels, const Script& script) : queue_(levels), script_(script) {}

  void Push() {
    const std::uint32_t level = next_ % queue_.levels();
    Op op{true, level, next_++, clock_++, 0};
    const std::size_t at = Add(op);
    queue_.Push(op.level, op.value);
    history_[at].ret = clock_++;
  }

  bool Pop() {
    Op op{false, kNothing, kNothing, clock_++, 0};
    const std::size_t at = Add(op);
    const bool popped = queue_.TryPop(&op.value, &op.level);
    history_[at].value = popped ? op.value : kNothing;
    history_[at].level = popped ? op.level : kNothing;
    history_[at].ret = clock_++;
    return popped;
  }

  void Run() noexcept override {
    ran_ = true;
    if (script_.inner_point != 0) {
      interrupt = &inner_;
      points_left = script_.inner_point;
      Pop();
      interrupt = nullptr;
    }
    for (std::uint32_t i = 0; i < script_.pops_first; ++i) {
      Pop();
    }
    for (std::uint32_t i = 0; i < script_.pushes; ++i) {
      Push();
    }
    for (std::uint32_t i = 0; i < script_.pops; ++i) {
      Pop();
    }
    while (script_.drain && Pop()) {
    }
  }

  // False when the operation has fewer points than that.
  bool Try(std::uint32_t pushed, std::uint32_t popped, bool push, std::uint32_t point) {
    for (std::uint32_t i = 0; i < pushed; ++i) {
      Push();
    }
    for (std::uint32_t i = 0; i < popped; ++i) {
      Pop();
    }
    interrupt = this;
    points_left = point;
    if (push) {
      Push();
    } else {
      Pop();
    }
    interrupt = nullptr;
    while (Pop()) {
    }
    if (!Linearizable(history_, queue_.levels() == 1 ? Rule::kStrict : Rule::kPromise)) {
      bosun::test::Show(history_);
      std::fprintf(stderr, "%u pushed, %u popped, %s interrupted at point %u\n", pushed, popped, push ? "push" : "pop",
                   point);
      CHECK(!"the history is linearizable");
    }
    CHECK(queue_.allocated() <= bosun::BasicSegmentPool<InterruptTraits>::kCached + queue_.levels() + 2);
    return ran_;
  }

 private:
  class Inner final : public Interrupt {
   public:
    explicit Inner(Case& owner) : owner_(owner) {}
    void Run() noexcept override { owner_.Pop(); }

   private:
    Case& owner_;
  };

  std::size_t Add(const Op& op) {
    history_.push_back(op);
    return history_.size() - 1;
  }

  bosun::BasicPriorityQueue<InterruptTraits> queue_;
  const Script script_;
  Inner inner_{*this};
  History history_;
  std::uint64_t clock_ = 0;
  std::uint32_t next_ = 0;
  bool ran_ = false;
};

void TryAll(std::uint32_t levels) {
  constexpr Script kScripts[] = {
      {0, 0, 1, false},
      {0, 1, 0, false},
      {0, 0, 0, true},
      {0, 1, 1, false},
      {1, 1, 0, false},
      {0, 3, 0, true},
      {0, 16, 0, true},
      {0, 30, 0, false},
      {0, 30, 16, false},
      {0, 33, 20, false},
      {16, 17, 0, false},
      {8, 24, 16, false},
      {0, 60, 40, true},
      // The two that bring back the first segment as the last: it is left, and the one that follows is filled.
      {0, 16, 15, false},
      {2, 16, 14, false},
  };
  std::uint32_t interrupted = 0;
  for (const Script& script : kScripts) {
    for (const std::uint32_t pushed : {0u, 1u, 4u, 14u, 15u, 16u, 17u, 31u, 32u, 33u}) {
      for (const std::uint32_t left : {0u, 1u, 2u, 3u, 16u}) {
        if (left > pushed) {
          continue;
        }
        for (const bool push : {true, false}) {
          for (std::uint32_t point = 1; Case(levels, script).Try(pushed, pushed - left, push, point); ++point) {
            ++interrupted;
          }
        }
      }
    }
  }
  std::printf("%u level(s): %u interrupted operations\n", levels, interrupted);
}

}  // namespace

TEST(OneLevel) { TryAll(1); }
TEST(TwoLevels) { TryAll(2); }

// A consumer reads head_, sleeps while the segment leaves the queue and comes back as its last one, and reads tail_:
// the two words look like an empty queue, which it has never been.
TEST(ASegmentComesBackBetweenTwoLoads) {
  for (std::uint32_t first = 1; first < 16; ++first) {
    for (std::uint32_t again = 0; again < 16; ++again) {
      for (std::uint32_t point = 1; point < 8; ++point) {
        const Script script{0, 16 + 16 - first + again, 16, false};
        Case(1, script).Try(first, first - 1, false, point);
      }
    }
  }
}

// A producer has linked a next segment and sleeps before it moves tail_; a consumer overshoots the full one. It has to
// move tail_ itself, or head_ would overtake it, and the consumers after it would never see an empty queue.
TEST(APopOvertakesAStalledPush) {
  for (std::uint32_t left = 1; left < 4; ++left) {
    for (std::uint32_t inner = 1; inner < 12; ++inner) {
      for (std::uint32_t point = 1; point < 12; ++point) {
        for (const std::uint32_t pushes : {0u, 1u, 40u}) {
          const Script script{0, pushes, 0, true, inner};
          Case(1, script).Try(16, 16 - left, true, point);
        }
      }
    }
  }
}

int main() { return bosun::test::RunAll(); }
