// Tasks that tasks have scheduled, as long as the worker that runs the scheduling task may ask for their results.
//
// Who: the dispatcher's thread. Cost: an index into a vector, which is used again. The children of one running task are
// a list through their entries.
// What an outcome costs: nobody has asked for it yet, so it is kept until the task that scheduled it has ended.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "dispatch/slab.h"
#include "frame/bytes.h"
#include "frame/frame.h"

namespace bosun {

inline constexpr std::uint32_t kNoFork = 0xFFFFFFFF;

// How a task ended, for the worker whose task has scheduled it.
struct ForkOutcome {
  ResultStatus status = ResultStatus::kValue;
  std::uint16_t attempt = 0;
  std::uint32_t worker = 0;  // that ran it last
  bool foreign = false;      // the payload comes from another host
};

struct Fork {
  std::uint32_t connection = 0;  // whose task has scheduled it
  std::uint32_t number = 0;      // by which that worker knows it
  std::uint32_t parent = 0;      // the sequence number of that task; 0 when it has ended
  std::uint32_t slot = kNoSlot;  // until it has ended itself
  std::uint32_t previous = kNoFork, next = kNoFork;
  bool awaited = false;
  ForkOutcome outcome;  // when it has ended, and nobody has asked yet
  Bytes payload;
};

class Forks {
 public:
  Fork& operator[](std::uint32_t index) noexcept { return entries_[index]; }

  std::uint32_t Add(std::uint32_t connection, std::uint32_t number) {
    std::uint32_t index = free_;
    if (index == kNoFork) {
      index = static_cast<std::uint32_t>(entries_.size());
      entries_.emplace_back();
    } else {
      free_ = entries_[index].next;
      entries_[index] = Fork();
    }
    entries_[index].connection = connection;
    entries_[index].number = number;
    ++count_;
    return index;
  }

  // It is in no list.
  void Remove(std::uint32_t index) noexcept {
    entries_[index].payload.Release();
    entries_[index].next = std::exchange(free_, index);
    // A burst leaves nothing behind.
    if (--count_ > 0 || entries_.size() < kKeep) return;
    std::vector<Fork>().swap(entries_);
    free_ = kNoFork;
  }

  // Into and out of the list of a task's children that begins at `first`.
  void Link(std::uint32_t& first, std::uint32_t index, std::uint32_t parent) noexcept {
    Fork& fork = entries_[index];
    fork.parent = parent;
    fork.next = first;
    if (first != kNoFork) entries_[first].previous = index;
    first = index;
  }
  void Unlink(std::uint32_t& first, std::uint32_t index) noexcept {
    Fork& fork = entries_[index];
    (fork.previous == kNoFork ? first : entries_[fork.previous].next) = fork.next;
    if (fork.next != kNoFork) entries_[fork.next].previous = fork.previous;
    fork.previous = fork.next = kNoFork;
    fork.parent = 0;
  }

 private:
  static constexpr std::size_t kKeep = 1024;

  std::vector<Fork> entries_;
  std::size_t count_ = 0;         // in use
  std::uint32_t free_ = kNoFork;  // the unused ones, by `next`
};

}  // namespace bosun
