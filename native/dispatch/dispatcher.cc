// The dispatcher's tasks and connections; what workers say is in receive.cc, what they are sent in turn.cc.

#include "dispatch/dispatcher.h"

#include <algorithm>

namespace bosun {
namespace {

// A connection's handle: the index of its entry and the entry's generation. 0 is never one.
constexpr std::uint32_t Index(std::uint32_t handle, std::uint32_t bits) { return handle & ((1u << bits) - 1); }

}  // namespace

Dispatcher::Dispatcher(const DispatcherOptions& options) noexcept
    : queue_(options.levels),
      returned_(options.levels),
      waiting_at_(options.levels),
      tombstones_at_(options.levels),
      max_frame_bytes_(options.max_frame_bytes),
      prefetch_(options.prefetch),
      inbox_mark_(options.inbox_mark) {}

// ---- tasks --------------------------------------------------------------------

bool Dispatcher::Submit(const Submission& submission, ByteSpan payload) noexcept {
  const std::uint32_t index = slab_.Allocate();
  if (index == kNoSlot) {
    Record record;
    record.ticket = submission.ticket;
    record.kind = RecordKind::kFull;
    record.id = submission.id;
    if (submission.ticket != kNoTicket) completions_.Append(record, {});
    return false;
  }
  TaskSlot& slot = slab_[index];
  slot.level = static_cast<std::uint8_t>(submission.level);
  slot.flags = submission.flags;
  slot.attempt = 1;
  slot.order = order_++;
  slot.ticket = submission.ticket;
  slot.id = submission.id;
  ++counts_.accepted;
  if (submission.ticket != kNoTicket) {
    if (submission.ticket >= slot_of_ticket_.size()) slot_of_ticket_.resize(submission.ticket + 1, kNoSlot);
    slot_of_ticket_[submission.ticket] = index;
  }
  if (dropping_) {
    Settle(index, RecordKind::kCancelled, {}, nullptr, 0);
    return true;
  }
  slot.payload.Append(payload);
  // release: pairs with the acquire in Cancel and Pop; the queue's own edge orders the rest.
  slot.status.store(SlotStatus::kQueued, std::memory_order_release);
  CountWaiting(slot, 1);
  queue_.Push(slot.level, index);
  return true;
}

CancelOutcome Dispatcher::Cancel(std::uint32_t ticket) noexcept {
  if (ticket >= slot_of_ticket_.size() || slot_of_ticket_[ticket] == kNoSlot) return CancelOutcome::kUnknown;
  const std::uint32_t index = slot_of_ticket_[ticket];
  TaskSlot& slot = slab_[index];
  // One that was sent ahead and not begun is taken back, and so dropped like any that waits.
  // relaxed: the dispatcher owns a task that is in flight.
  if (slot.status.load(std::memory_order_relaxed) == SlotStatus::kSent) {
    if (Connection* connection = Get(slot.connection)) Recall(*connection);
  }
  SlotStatus expected = SlotStatus::kQueued;
  // acq_rel: against a Pop that takes the same task; whoever changes the status owns it.
  if (slot.status.compare_exchange_strong(expected, SlotStatus::kCancelled, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
    CountWaiting(slot, -1);
    ++tombstones_;
    ++tombstones_at_[slot.level];
    Settle(index, RecordKind::kCancelled, {}, nullptr, 0);
    return CancelOutcome::kDropped;
  }
  if (expected != SlotStatus::kSent) return CancelOutcome::kUnknown;
  Connection* connection = Get(slot.connection);
  if (connection == nullptr) return CancelOutcome::kUnknown;
  slot.flags |= kFlagStopAsked;
  // It is claimed, or it would have been taken back: no other cancel can overwrite this number while it runs.
  if (connection->page) connection->page->stop.Stop(slot.sequence);
  Store(AppendFrame(connection->output, kCancel, sizeof slot.sequence), slot.sequence);
  MarkDirty(*connection);
  return CancelOutcome::kAsked;
}

void Dispatcher::Settle(std::uint32_t index, RecordKind kind, ByteSpan payload, const Connection* connection,
                        std::uint32_t run_us) noexcept {
  TaskSlot& slot = slab_[index];
  Record record;
  record.ticket = slot.ticket;
  record.slot = index;
  record.worker = connection == nullptr ? 0 : connection->worker;
  record.run_us = run_us;
  record.kind = kind;
  record.level = slot.level;
  record.attempt = slot.attempt;
  record.id = slot.id;
  switch (kind) {
    case RecordKind::kValue:
      ++counts_.done;
      break;
    case RecordKind::kCancelled:
      ++counts_.cancelled;
      break;
    default:
      ++counts_.failed;
      // A lost task's error is the owner's, who has the exit code; the record in the inbox marks its place.
      if ((slot.flags & kFlagInboxErrors) != 0 && !discarding_) {
        inbox_.Append(record, kind == RecordKind::kLost ? ByteSpan{} : payload);
      }
      break;
  }
  if (kind != RecordKind::kLost && (slot.ticket != kNoTicket || report_all_)) completions_.Append(record, payload);
  if (slot.ticket != kNoTicket) {
    // The owner may have given the ticket to another task already.
    if (slot_of_ticket_[slot.ticket] == index) slot_of_ticket_[slot.ticket] = kNoSlot;
    slot.ticket = kNoTicket;
  }
  // A cancelled one that is still in the queue keeps its slot as a tombstone until it is popped.
  if (slot.status.load(std::memory_order_relaxed) == SlotStatus::kCancelled) {
    slot.payload.Release();
  } else {
    slab_.Free(index);
  }
}

LostOutcome Dispatcher::SettleLost(std::uint32_t index, bool dropped) noexcept {
  if (!slab_.Has(index)) return LostOutcome::kUnknown;
  // relaxed: only this thread makes a slot lost, or ends that.
  if (slab_[index].status.load(std::memory_order_relaxed) != SlotStatus::kLost) return LostOutcome::kUnknown;
  const bool cancelled = dropped || (slab_[index].flags & kFlagStopAsked) != 0;
  --counts_.lost;
  Settle(index, cancelled ? RecordKind::kCancelled : RecordKind::kLost, {}, nullptr, 0);
  return cancelled ? LostOutcome::kCancelled : LostOutcome::kFailed;
}

void Dispatcher::CountWaiting(const TaskSlot& slot, int step) noexcept {
  counts_.waiting += step;
  waiting_at_[slot.level] += step;
}

// ---- connections --------------------------------------------------------------

std::uint32_t Dispatcher::Connect(std::uint32_t worker, SharedPage page) noexcept {
  std::size_t index = 0;
  while (index < connections_.size() && connections_[index].connection != nullptr) ++index;
  if (index == connections_.size()) {
    if (index >> kIndexBits != 0) return 0;
    connections_.emplace_back();
  }
  Entry& entry = connections_[index];
  const std::uint32_t handle = entry.generation << kIndexBits | static_cast<std::uint32_t>(index);
  entry.connection = std::make_unique<Connection>(handle, worker, std::move(page), max_frame_bytes_);
  if (prefetch_ > 0) entry.connection->window = prefetch_;
  return handle;
}

Connection* Dispatcher::Get(std::uint32_t handle) const noexcept {
  const std::uint32_t index = Index(handle, kIndexBits);
  if (index >= connections_.size()) return nullptr;
  Connection* connection = connections_[index].connection.get();
  return connection != nullptr && connection->handle == handle ? connection : nullptr;
}

const Connection* Dispatcher::Find(std::uint32_t connection) const noexcept { return Get(connection); }

void Dispatcher::MarkDirty(Connection& connection) noexcept {
  if (std::exchange(connection.dirty, true)) return;
  dirty_.push_back(connection.handle);
}

void Dispatcher::SendHello(std::uint32_t handle, ByteSpan configuration) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return;
  std::uint8_t* body = AppendFrame(connection->output, kHello, configuration.size());
  if (!configuration.empty()) std::memcpy(body, configuration.data(), configuration.size());
  MarkDirty(*connection);
}

void Dispatcher::SendClose(std::uint32_t handle, bool abort) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return;
  connection->closing = true;
  Recall(*connection);
  if (abort && connection->page) connection->page->stop.StopAll();
  Store(AppendFrame(connection->output, kClose, 1), static_cast<std::uint8_t>(abort));
  MarkDirty(*connection);
}

bool Dispatcher::Disconnect(std::uint32_t handle) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return false;
  Entry& entry = connections_[Index(handle, kIndexBits)];
  const std::unique_ptr<Connection> gone = std::move(entry.connection);
  entry.generation = (entry.generation + 1) & ((1u << (32 - kIndexBits)) - 1);
  if (entry.generation == 0) entry.generation = 1;
  // By the claim word, not by a look at it: a process that still lives must not begin what is given to another.
  Recall(*gone);
  for (const InFlight& flight : gone->in_flight) {
    TaskSlot& slot = slab_[flight.slot];
    // relaxed: the dispatcher owns a task that is in flight.
    slot.status.store(SlotStatus::kLost, std::memory_order_relaxed);
    --counts_.sent;
    ++counts_.lost;
    Record record;
    record.ticket = slot.ticket;
    record.slot = flight.slot;
    record.worker = gone->worker;
    record.kind = RecordKind::kLost;
    record.level = slot.level;
    record.attempt = slot.attempt;
    record.id = slot.id;
    completions_.Append(record, slot.payload.span());
  }
  return true;
}

}  // namespace bosun
