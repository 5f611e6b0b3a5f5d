// The tasks that only the workers of one place may run, and which of them wait: few, beside the slab, so that a slot
// needs no room for it and all other tasks pay for one look at whether there are any.
//
// Who: the dispatcher's thread. Cost: a hash table entry for each such task, a tree node while it waits; whatever waits
// leaves nothing behind when it is cancelled, whether or not anybody ever comes to its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>

#include "dispatch/slab.h"

namespace bosun {

class Placed {
 public:
  // No task has a place.
  bool empty() const noexcept { return tasks_.empty(); }
  bool Has(std::uint32_t slot) const noexcept { return !empty() && tasks_.contains(slot); }
  // Tasks that wait where no worker is.
  std::uint64_t stranded() const noexcept { return stranded_; }

  // `order` is that of submission, and never wraps: such a task may wait for ever.
  void Add(std::uint32_t slot, std::uint32_t place, std::uint8_t level, std::uint64_t order) {
    tasks_.emplace(slot, Task{place, {level, order}});
  }
  void Remove(std::uint32_t slot) noexcept { tasks_.erase(slot); }
  std::uint64_t OrderOf(std::uint32_t slot) const noexcept { return tasks_.at(slot).urgency.second; }

  // It waits, behind those that are more urgent and those of its level that were submitted before it.
  void Enter(std::uint32_t slot) {
    const Task& task = tasks_.at(slot);
    Place& place = places_[task.place];
    place.waiting.emplace(task.urgency, slot);
    if (place.workers == 0) ++stranded_;
  }
  // It does not any more.
  void Leave(std::uint32_t slot) noexcept {
    const Task& task = tasks_.at(slot);
    const auto place = places_.find(task.place);
    place->second.waiting.erase(task.urgency);
    if (place->second.workers == 0) --stranded_;
    Tidy(place);
  }
  // The first of those that wait there; kNoSlot when none does.
  std::uint32_t First(std::uint32_t place) const noexcept {
    const auto found = places_.find(place);
    if (found == places_.end() || found->second.waiting.empty()) return kNoSlot;
    return found->second.waiting.begin()->second;
  }
  // Some one that waits; kNoSlot when none does.
  std::uint32_t Any() const noexcept {
    for (const auto& [number, place] : places_) {
      if (!place.waiting.empty()) return place.waiting.begin()->second;
    }
    return kNoSlot;
  }

  // A worker that takes tasks is there, or does so no more.
  void Come(std::uint32_t number) {
    Place& place = places_[number];
    if (place.workers++ == 0) stranded_ -= place.waiting.size();
  }
  void Go(std::uint32_t number) noexcept {
    const auto place = places_.find(number);
    if (--place->second.workers == 0) stranded_ += place->second.waiting.size();
    Tidy(place);
  }

  // Calls visit(slot) for every task of a place, wherever it is; it may not change anything here.
  template <class Visit>
  void At(std::uint32_t place, Visit&& visit) const {
    for (const auto& [slot, task] : tasks_) {
      if (task.place == place) visit(slot);
    }
  }

 private:
  using Urgency = std::pair<std::uint8_t, std::uint64_t>;  // the level, and the order of submission
  struct Task {
    std::uint32_t place;
    Urgency urgency;
  };
  struct Place {
    std::uint32_t workers = 0;
    std::map<Urgency, std::uint32_t> waiting;
  };
  using PlaceTable = std::unordered_map<std::uint32_t, Place>;

  void Tidy(PlaceTable::iterator place) noexcept {
    if (place->second.workers == 0 && place->second.waiting.empty()) places_.erase(place);
  }

  std::unordered_map<std::uint32_t, Task> tasks_;
  PlaceTable places_;
  std::uint64_t stranded_ = 0;
};

}  // namespace bosun
