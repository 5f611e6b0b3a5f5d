// Is a history of concurrent queue operations linearizable?
//
// What: a search for an order of the operations that respects their calls and returns, and that a sequential queue
// would
//   answer in the same way. Wing and Gong's search (1993) with Lowe's memory of states already seen (2017).
// Cost: exponential in the operations that run at once, linear in those that run one after another.
// When not: histories of more than 256 operations, or two pushes of one value.
#pragma once

#include <bitset>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "test/check.h"

namespace bosun::test {

constexpr std::uint32_t kNothing = 0xFFFFFFFF;  // what a pop of an empty queue answers

struct Op {
  bool push;
  std::uint32_t level;
  std::uint32_t value;
  std::uint64_t call;
  std::uint64_t ret;
};
using History = std::vector<Op>;

enum class Rule {
  kStrict,   // a pop takes from the most urgent level that has items
  kPromise,  // the same, but items whose push had not returned when the pop began may be passed over
};

class Search {
 public:
  static constexpr std::size_t kMaxOps = 256;

  Search(const History& history, Rule rule) : history_(history), rule_(rule), levels_(LevelsOf(history)) {
    CHECK(history.size() <= kMaxOps);
  }

  bool Linearizable() { return Step(Done{}); }

 private:
  using Done = std::bitset<kMaxOps>;

  static std::size_t LevelsOf(const History& history) {
    std::size_t levels = 1;
    for (const Op& op : history) {
      levels = op.level != kNothing && op.level >= levels ? op.level + 1 : levels;
    }
    return levels;
  }

  bool Step(const Done& done) {
    if (!seen_.insert(StateOf(done)).second) {
      return false;
    }
    std::uint64_t first_return = ~std::uint64_t{0};
    bool finished = true;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!done[i]) {
        finished = false;
        first_return = history_[i].ret < first_return ? history_[i].ret : first_return;
      }
    }
    if (finished) {
      return true;
    }
    for (std::size_t i = 0; i < history_.size(); ++i) {
      const Op& op = history_[i];
      // Only an operation that no other one wholly precedes may come next.
      if (done[i] || op.call > first_return) {
        continue;
      }
      Done next = done;
      next.set(i);
      if (op.push) {
        levels_[op.level].push_back(&op);
        if (Step(next)) {
          return true;
        }
        levels_[op.level].pop_back();
      } else if (MayAnswer(op)) {
        const Op* taken = nullptr;
        if (op.value != kNothing) {
          taken = levels_[op.level].front();
          levels_[op.level].pop_front();
        }
        if (Step(next)) {
          return true;
        }
        if (taken != nullptr) {
          levels_[op.level].push_front(taken);
        }
      }
    }
    return false;
  }

  bool MayAnswer(const Op& pop) const {
    const std::size_t passed = pop.value == kNothing ? levels_.size() : pop.level;
    for (std::size_t level = 0; level < passed; ++level) {
      for (const Op* push : levels_[level]) {
        if (rule_ == Rule::kStrict || push->ret < pop.call) {
          return false;
        }
      }
    }
    return pop.value == kNothing || (!levels_[pop.level].empty() && levels_[pop.level].front()->value == pop.value);
  }

  std::string StateOf(const Done& done) const {
    std::string state(reinterpret_cast<const char*>(&done), sizeof done);  // the contents follow, one byte for an item
    for (const auto& level : levels_) {
      for (const Op* op : level) {
        state.push_back(static_cast<char>(op - history_.data()));
      }
      state.push_back('|');
    }
    return state;
  }

  const History& history_;
  const Rule rule_;
  std::vector<std::deque<const Op*>> levels_;
  std::unordered_set<std::string> seen_;
};

inline bool Linearizable(const History& history, Rule rule) { return Search(history, rule).Linearizable(); }

inline Op Push(std::uint64_t call, std::uint64_t ret, std::uint32_t value, std::uint32_t level = 0) {
  return {true, level, value, call, ret};
}
inline Op Pop(std::uint64_t call, std::uint64_t ret, std::uint32_t value, std::uint32_t level = 0) {
  return {false, value == kNothing ? kNothing : level, value, call, ret};
}

inline void Show(const History& history) {
  for (const Op& op : history) {
    std::fprintf(stderr, "  [%llu, %llu] %s", static_cast<unsigned long long>(op.call),
                 static_cast<unsigned long long>(op.ret), op.push ? "push" : "pop ");
    if (op.value == kNothing) {
      std::fprintf(stderr, " nothing\n");
    } else {
      std::fprintf(stderr, " %u of level %u\n", op.value, op.level);
    }
  }
}

}  // namespace bosun::test
