// How the attempts of a task end, when another one follows, and what is due at which time.

#include <algorithm>

#include "dispatch/dispatcher.h"
#include "dispatch/sequence.h"

namespace bosun {
namespace {

// A task that was told to stop has so long to say how it ended, before its caller is told.
constexpr std::uint64_t kMomentUs = 100'000;

// Attempts are counted in 16 bits, and an alarm knows them apart by their number.
constexpr std::uint16_t kMaxAttempt = 0xFFFF;

}  // namespace

// ---- the end of an attempt ------------------------------------------------------

bool Dispatcher::MayRetry(const TaskSlot& slot, std::uint8_t cause) const noexcept {
  return !dropping_ && slot.Has(cause) && slot.attempt <= slot.max_retries && slot.attempt < kMaxAttempt;
}

void Dispatcher::Hold(std::uint32_t index, std::uint32_t worker) noexcept {
  TaskSlot& slot = slab_[index];
  slot.connection = worker;
  // relaxed: the dispatcher owns a task that is in flight.
  slot.status.store(SlotStatus::kHeld, std::memory_order_relaxed);
  Move(slot, &Tally::sent, &Tally::held);
}

void Dispatcher::EndAttempt(Connection& connection, std::uint32_t index, DoneStatus status, ByteSpan payload,
                            std::uint32_t run_us) noexcept {
  TaskSlot& slot = slab_[index];
  ++connection.tasks_ended;
  runs_.Add(run_us);
  RecordKind kind = RecordKind::kValue;
  if (status == DoneStatus::kError) kind = RecordKind::kError;
  if (status == DoneStatus::kCancelled) kind = RecordKind::kCancelled;
  std::uint8_t cause = kind == RecordKind::kError ? kFlagRetryError : 0;
  // The request to stop decided how it ends, whatever the worker had to say by then.
  if (slot.Has(kFlagStopAsked)) {
    connection.LetGo(slot.sequence);
    const bool timed_out = slot.Has(kFlagTimedOut);
    kind = timed_out ? RecordKind::kTimeout : RecordKind::kCancelled;
    cause = timed_out ? kFlagRetryTimeout : 0;
    if (status != DoneStatus::kError) payload = {};
  }
  if (kind == RecordKind::kCancelled) payload = {};
  if (cause != 0 && MayRetry(slot, cause)) {
    Record record = RecordOf(index, KindFrom(connection, RecordKind::kRetry), connection.worker);
    record.run_us = run_us;
    completions_.Append(record, payload);
    Hold(index, connection.worker);
  } else {
    Count(slot, &Tally::sent, -1);
    Settle(index, kind, kind == RecordKind::kTimeout ? ByteSpan{} : payload, connection.worker, run_us);
  }
  if (connection.condemned && connection.in_flight.size() == connection.stopping) ReportUnresponsive(connection);
}

TaskSlot* Dispatcher::HeldAt(std::uint32_t index) noexcept {
  if (!slab_.Has(index)) return nullptr;
  TaskSlot& slot = slab_[index];
  // relaxed: only this thread holds a task, or ends that.
  return slot.status.load(std::memory_order_relaxed) == SlotStatus::kHeld ? &slot : nullptr;
}

LostOutcome Dispatcher::JudgeLost(std::uint32_t index, bool dropped) noexcept {
  const TaskSlot* slot = HeldAt(index);
  if (slot == nullptr) return LostOutcome::kUnknown;
  const bool timed_out = slot->Has(kFlagTimedOut);
  if (MayRetry(*slot, timed_out ? kFlagRetryTimeout : kFlagRetryLost) && !dropped &&
      (timed_out || !slot->Has(kFlagStopAsked))) {
    const bool poison = !timed_out && slot->max_crashes > 0 && slot->crashes >= slot->max_crashes;
    return poison ? LostOutcome::kPoison : LostOutcome::kRetry;
  }
  // That was decided before anything was dropped.
  if (timed_out) return LostOutcome::kTimedOut;
  return dropped || slot->Has(kFlagStopAsked) ? LostOutcome::kCancelled : LostOutcome::kFailed;
}

bool Dispatcher::SettleLost(std::uint32_t index, LostOutcome outcome, ByteSpan error) noexcept {
  TaskSlot* slot = HeldAt(index);
  if (slot == nullptr || outcome == LostOutcome::kUnknown || outcome == LostOutcome::kRetry) return false;
  RecordKind kind = RecordKind::kLost;
  if (outcome == LostOutcome::kTimedOut) kind = RecordKind::kTimeout;
  if (outcome == LostOutcome::kCancelled) kind = RecordKind::kCancelled;
  Count(*slot, &Tally::held, -1);
  return Settle(index, kind, kind == RecordKind::kLost ? error : ByteSpan{}, slot->connection, 0);
}

bool Dispatcher::Retry(std::uint32_t index, std::uint64_t delay_us) noexcept {
  if (HeldAt(index) == nullptr) return false;
  TaskSlot& slot = slab_[index];
  if (dropping_ || (slot.Has(kFlagStopAsked) && !slot.Has(kFlagTimedOut))) {
    Count(slot, &Tally::held, -1);
    Settle(index, RecordKind::kCancelled, {}, slot.connection, 0);
    return true;
  }
  ++slot.attempt;
  ++counts_.retried;
  slot.flags &= ~(kFlagStopAsked | kFlagTimedOut | kFlagCounted);
  slot.since_us = now_us_;
  // relaxed: only this thread holds a task, or ends that.
  slot.status.store(SlotStatus::kDelayed, std::memory_order_relaxed);
  if (delay_us == 0) {
    Return(index, &Tally::held);
  } else {
    SetAlarm(index, AlarmKind::kRetry, now_us_ + delay_us);
  }
  return true;
}

// ---- stopping -------------------------------------------------------------------

void Dispatcher::AskToStop(std::uint32_t index, StopReason reason) noexcept {
  TaskSlot& slot = slab_[index];
  Connection* connection = Get(slot.connection);
  if (connection == nullptr) return;
  slot.flags |= kFlagStopAsked;
  ++connection->stopping;
  // What it has not begun is for workers that are certain to live on.
  Recall(*connection);
  SetMoment(index);
  SetAlarm(index, AlarmKind::kPatience, now_us_ + options_.grace_us);
  if (connection->foreign) return;
  if (connection->page) {
    RunLane* lane = connection->page->LaneOf(slot.sequence, Lanes(*connection));
    if (lane != nullptr) lane->Stop(slot.sequence, reason);
  }
  std::uint8_t* at = AppendFrame(connection->output.tail(), kCancel, kCancelFields);
  Store(Store(at, slot.sequence), reason);
  MarkDirty(*connection);
  CancelForks(*connection, slot.sequence);
}

void Dispatcher::SetMoment(std::uint32_t index) noexcept {
  SetAlarm(index, AlarmKind::kMoment, now_us_ + std::min(kMomentUs, options_.grace_us));
}

void Dispatcher::ReportUnresponsive(const Connection& connection) noexcept {
  Record record;
  record.worker = connection.worker;
  record.kind = RecordKind::kUnresponsive;
  completions_.Append(record, {});
}

// ---- alarms ---------------------------------------------------------------------

bool Dispatcher::IsValid(const Alarm& alarm) noexcept {
  const TaskSlot& slot = slab_[alarm.slot];
  if (slot.order != alarm.order || slot.attempt != alarm.attempt) return false;
  // relaxed: whether a task that waits is about to be popped is seen when its status is changed.
  const SlotStatus status = slot.status.load(std::memory_order_relaxed);
  switch (alarm.kind) {
    case AlarmKind::kDeadline:
      return status == SlotStatus::kQueued || (status == SlotStatus::kSent && !slot.Has(kFlagStopAsked));
    case AlarmKind::kTimeout:
      return status == SlotStatus::kSent && !slot.Has(kFlagStopAsked);
    case AlarmKind::kMoment:
    case AlarmKind::kPatience:
      return status == SlotStatus::kSent && slot.Has(kFlagStopAsked);
    case AlarmKind::kRetry:
      return status == SlotStatus::kDelayed;
  }
  return false;
}

void Dispatcher::SetAlarm(std::uint32_t index, AlarmKind kind, std::uint64_t due_us) noexcept {
  const TaskSlot& slot = slab_[index];
  alarms_.Push({due_us, index, slot.order, slot.attempt, kind}, [this](const Alarm& alarm) { return IsValid(alarm); });
}

void Dispatcher::RingAlarms() noexcept {
  while (!alarms_.empty()) {
    // What means nothing any more must not wake anybody.
    const bool valid = IsValid(alarms_.front());
    if (valid && alarms_.front().due_us > now_us_) return;
    const Alarm alarm = alarms_.Pop();
    if (valid) Ring(alarm);
  }
}

void Dispatcher::Ring(const Alarm& alarm) noexcept {
  TaskSlot& slot = slab_[alarm.slot];
  switch (alarm.kind) {
    case AlarmKind::kDeadline:
      // relaxed: the dispatcher owns a task that is in flight.
      if (slot.status.load(std::memory_order_relaxed) == SlotStatus::kSent) {
        if (Connection* connection = Get(slot.connection)) Recall(*connection);
      }
      DropQueued(alarm.slot, RecordKind::kDeadline);
      break;
    case AlarmKind::kTimeout:
      RingTimeout(alarm.slot);
      break;
    case AlarmKind::kMoment:
      RingMoment(alarm.slot);
      break;
    case AlarmKind::kPatience:
      RingPatience(alarm.slot);
      break;
    case AlarmKind::kRetry:
      Return(alarm.slot, &Tally::held);
      break;
  }
}

void Dispatcher::RingTimeout(std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  const Connection* connection = Get(slot.connection);
  if (connection == nullptr) return;
  const std::uint64_t timeout_us = std::uint64_t{slot.timeout_ms} * 1000;
  if (connection->page) {
    if (After(slot.sequence, connection->Claimed())) {
      // It has not begun, so it cannot be over time before this.
      SetAlarm(index, AlarmKind::kTimeout, now_us_ + timeout_us);
      return;
    }
    // The lane first: one that has left it is marked as ended.
    const RunLane* lane = connection->page->LaneOf(slot.sequence, Lanes(*connection));
    // It has ended: its result is on its way.
    if (connection->page->ended.Has(slot.sequence)) return;
    const std::uint64_t started = lane == nullptr ? 0 : std::min(lane->started_us(), now_us_);
    if (started + timeout_us > now_us_) {
      SetAlarm(index, AlarmKind::kTimeout, started + timeout_us);
      return;
    }
  }
  slot.flags |= kFlagTimedOut;
  AskToStop(index, StopReason::kTimeout);
}

void Dispatcher::RingMoment(std::uint32_t index) noexcept {
  const TaskSlot& slot = slab_[index];
  const bool again = slot.Has(kFlagTimedOut) && MayRetry(slot, kFlagRetryTimeout);
  if (again || slot.ticket == kNoTicket) return;
  const Connection* connection = Get(slot.connection);
  if (slot.is_child) {
    const ResultStatus status = slot.Has(kFlagTimedOut) ? ResultStatus::kTimeout : ResultStatus::kCancelled;
    TellParent(index, status, connection == nullptr ? 0 : connection->worker, {});
    return;
  }
  completions_.Append(RecordOf(index, RecordKind::kStopping, connection == nullptr ? 0 : connection->worker), {});
}

void Dispatcher::RingPatience(std::uint32_t index) noexcept {
  const TaskSlot& slot = slab_[index];
  Connection* connection = Get(slot.connection);
  if (connection == nullptr) return;
  const bool offender = connection->condemned && connection->offender == slot.sequence;
  if (offender || connection->in_flight.size() == connection->stopping) {
    ReportUnresponsive(*connection);
    return;
  }
  // Others that it runs have done nothing wrong: they have as long again.
  const std::uint64_t again_us = connection->condemned ? std::max(options_.grace_us, kMomentUs) : options_.grace_us;
  if (!connection->condemned) {
    connection->condemned = true;
    connection->offender = slot.sequence;
  }
  SetAlarm(index, AlarmKind::kPatience, now_us_ + again_us);
}

}  // namespace bosun
