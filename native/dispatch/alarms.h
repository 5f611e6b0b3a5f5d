// When something is due: the times of deadlines, time-outs, retries and the end of patience, earliest first.
//
// Who: the dispatcher's thread. Cost: a binary heap of 24-byte entries; times that only grow are appended in O(1).
// An alarm is never taken out when its task ends: whoever pops it asks whether it still means anything, and Sweep
// throws the others away whenever their number has doubled.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bosun {

enum class AlarmKind : std::uint8_t {
  kDeadline,  // it must have begun
  kTimeout,   // its run may be over time; the status page knows when it began
  kRetry,     // its next attempt may begin
  kMoment,    // it was told to stop; who waits for it is told, whatever it does
  kPatience,  // it was told to stop, and must have
};

struct Alarm {
  std::uint64_t due_us;
  std::uint32_t slot;
  std::uint32_t order;  // the task's, for slots are used again
  std::uint16_t attempt;
  AlarmKind kind;
};

class Alarms {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  const Alarm& front() const noexcept { return heap_.front(); }

  // `valid` says of an alarm whether it still means anything.
  template <class Valid>
  void Push(const Alarm& alarm, Valid&& valid) noexcept {
    if (heap_.size() >= sweep_at_) Sweep(valid);
    heap_.push_back(alarm);
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }

  Alarm Pop() noexcept {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const Alarm alarm = heap_.back();
    heap_.pop_back();
    return alarm;
  }

  // Throws away what means nothing any more.
  template <class Valid>
  void Sweep(Valid&& valid) noexcept {
    heap_.erase(std::remove_if(heap_.begin(), heap_.end(), [&](const Alarm& alarm) { return !valid(alarm); }),
                heap_.end());
    std::make_heap(heap_.begin(), heap_.end(), Later);
    sweep_at_ = std::max(kFirstSweep, 2 * heap_.size());
  }

  // Takes out every alarm of a kind, in no particular order.
  template <class Take>
  void TakeAll(AlarmKind kind, Take&& take) noexcept {
    std::vector<Alarm> taken;
    const auto is_other = [&](const Alarm& alarm) { return alarm.kind != kind; };
    const auto from = std::partition(heap_.begin(), heap_.end(), is_other);
    taken.assign(from, heap_.end());
    heap_.erase(from, heap_.end());
    std::make_heap(heap_.begin(), heap_.end(), Later);
    for (const Alarm& alarm : taken) take(alarm);
  }

 private:
  static constexpr std::size_t kFirstSweep = 1024;

  static bool Later(const Alarm& a, const Alarm& b) noexcept { return a.due_us > b.due_us; }

  std::vector<Alarm> heap_;
  std::size_t sweep_at_ = kFirstSweep;
};

}  // namespace bosun
