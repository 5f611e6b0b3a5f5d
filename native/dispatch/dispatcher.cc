// The dispatcher's tasks and connections; what workers say is in receive.cc and foreign.cc, what they are sent in
// turn.cc, how attempts end and go on in attempts.cc.

#include "dispatch/dispatcher.h"

#include <algorithm>

#include "dispatch/sequence.h"

namespace bosun {
namespace {

ResultStatus StatusOf(RecordKind kind) noexcept {
  switch (kind) {
    case RecordKind::kValue:
      return ResultStatus::kValue;
    case RecordKind::kError:
      return ResultStatus::kError;
    case RecordKind::kTimeout:
      return ResultStatus::kTimeout;
    case RecordKind::kDeadline:
      return ResultStatus::kDeadline;
    case RecordKind::kLost:
      return ResultStatus::kLost;
    default:
      return ResultStatus::kCancelled;
  }
}

}  // namespace

Dispatcher::Dispatcher(const DispatcherOptions& options) noexcept
    : queue_(options.levels),
      forked_(options.levels),
      returned_(options.levels),
      tallies_(options.levels),
      tombstones_at_(options.levels),
      options_(options),
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
  slot.crashes = 0;
  slot.max_retries = submission.max_retries;
  slot.max_crashes = submission.max_crashes;
  slot.timeout_ms = submission.timeout_ms;
  const std::uint64_t order = order_++;
  slot.order = static_cast<std::uint32_t>(order);
  slot.ticket = submission.ticket;
  slot.entries = 0;
  slot.is_child = submission.fork != kNoFork;
  slot.is_forked = false;
  if (slot.is_child) {
    Fork& fork = forks_[submission.fork];
    fork.slot = index;
    slot.ticket = submission.fork;
    slot.is_forked = fork.awaited;
  }
  slot.id = submission.id;
  slot.since_us = now_us_;
  Count(slot, &Tally::accepted, 1);
  if (submission.ticket != kNoTicket) {
    if (submission.ticket >= slot_of_ticket_.size()) slot_of_ticket_.resize(submission.ticket + 1, kNoSlot);
    slot_of_ticket_[submission.ticket] = index;
  }
  if (dropping_) {
    Settle(index, RecordKind::kCancelled, {}, 0, 0);
    return true;
  }
  slot.SetPayload(payload);
  // release: pairs with the acquire in Cancel and Pop; the queue's own edge orders the rest.
  slot.status.store(SlotStatus::kQueued, std::memory_order_release);
  Count(slot, &Tally::waiting, 1);
  if (IsFresh(slot)) ++counts_.fresh;
  if (submission.deadline_ms > 0) {
    SetAlarm(index, AlarmKind::kDeadline, now_us_ + std::uint64_t{submission.deadline_ms} * 1000);
  }
  if (slot.is_forked) {
    Stack(forked_[slot.level], forked_[slot.level].end(), index);
  } else if (submission.place != 0) {
    placed_.Add(index, submission.place, slot.level, order);
    placed_.Enter(index);
  } else {
    ++slot.entries;
    queue_.Push(slot.level, index);
  }
  return true;
}

CancelOutcome Dispatcher::Cancel(std::uint32_t ticket) noexcept {
  if (ticket >= slot_of_ticket_.size() || slot_of_ticket_[ticket] == kNoSlot) return CancelOutcome::kUnknown;
  return CancelSlot(slot_of_ticket_[ticket]);
}

std::vector<std::uint32_t> Dispatcher::TicketsAt(std::uint32_t place) noexcept {
  std::vector<std::uint32_t> tickets;
  placed_.At(place, [&](std::uint32_t index) {
    if (const std::uint32_t ticket = slab_[index].ticket; ticket != kNoTicket) tickets.push_back(ticket);
  });
  return tickets;
}

bool Dispatcher::SendTo(std::uint32_t ticket, ByteSpan letter) noexcept {
  if (ticket >= slot_of_ticket_.size() || slot_of_ticket_[ticket] == kNoSlot) return false;
  SendLetter(slot_of_ticket_[ticket], letter, false);
  return true;
}

void Dispatcher::SendLetter(std::uint32_t index, ByteSpan letter, bool foreign) noexcept {
  const TaskSlot& slot = slab_[index];
  // relaxed: the dispatcher owns a task that is not in the queue.
  const bool is_sent = slot.status.load(std::memory_order_relaxed) == SlotStatus::kSent;
  Connection* connection = is_sent ? Get(slot.connection) : nullptr;
  if (connection != nullptr) AppendNumbered(*connection, kLetter, slot.sequence, foreign, letter);
  const bool has_begun = connection != nullptr && !After(slot.sequence, connection->Claimed());
  if (!has_begun || slot.max_retries > 0) letters_[index].push_back({Bytes(letter), foreign});
}

void Dispatcher::AppendNumbered(Connection& connection, std::uint8_t type, std::uint32_t number, bool foreign,
                                ByteSpan payload) noexcept {
  if (connection.foreign) return;
  std::uint8_t* at = AppendFrame(connection.output.tail(), type, kLetterFields + payload.size());
  at = Store(at, number);
  at = Store(at, static_cast<std::uint8_t>(foreign));
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  MarkDirty(connection);
}

CancelOutcome Dispatcher::CancelSlot(std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  // One that was sent ahead and not begun is taken back, and so dropped like any that waits.
  // relaxed, here and below: the dispatcher owns a task that is not in the queue.
  if (slot.status.load(std::memory_order_relaxed) == SlotStatus::kSent) {
    if (Connection* connection = Get(slot.connection)) Recall(*connection);
  }
  if (DropQueued(index, RecordKind::kCancelled)) return CancelOutcome::kDropped;
  switch (slot.status.load(std::memory_order_relaxed)) {
    case SlotStatus::kDelayed:
      Count(slot, &Tally::held, -1);
      Settle(index, RecordKind::kCancelled, {}, slot.connection, 0);
      return CancelOutcome::kDropped;
    case SlotStatus::kHeld:
    case SlotStatus::kSent:
      // One that took too long has been settled for its owner, unless another attempt was to follow.
      if (slot.Has(kFlagTimedOut) && !MayRetry(slot, kFlagRetryTimeout)) return CancelOutcome::kUnknown;
      if (slot.status.load(std::memory_order_relaxed) == SlotStatus::kHeld) {
        slot.flags |= kFlagStopAsked;
      } else if (!slot.Has(kFlagStopAsked)) {
        AskToStop(index, StopReason::kCancelled);
      } else if (slot.Has(kFlagTimedOut)) {
        // Nobody was told at its time-out, for it was to be tried again.
        SetMoment(index);
      }
      slot.flags &= ~kFlagTimedOut;
      return CancelOutcome::kAsked;
    default:
      return CancelOutcome::kUnknown;
  }
}

bool Dispatcher::DropQueued(std::uint32_t index, RecordKind kind) noexcept {
  TaskSlot& slot = slab_[index];
  SlotStatus expected = SlotStatus::kQueued;
  // acq_rel: against a Pop that takes the same task; whoever changes the status owns it.
  if (!slot.status.compare_exchange_strong(expected, SlotStatus::kCancelled, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
    return false;
  }
  Count(slot, &Tally::waiting, -1);
  if (IsFresh(slot)) --counts_.fresh;
  if (placed_.Has(index)) {
    placed_.Leave(index);
  } else {
    ++tombstones_;
    ++tombstones_at_[slot.level];
  }
  Settle(index, kind, {}, 0, 0);
  return true;
}

Record Dispatcher::RecordOf(std::uint32_t index, RecordKind kind, std::uint32_t worker) noexcept {
  constexpr std::uint8_t kForeignLevel = 0x80;
  const TaskSlot& slot = slab_[index];
  Record record;
  record.ticket = slot.IsOwned() ? slot.ticket : kNoTicket;
  record.slot = index;
  record.worker = worker;
  record.kind = kind;
  record.level = slot.Has(kFlagForeign) ? slot.level | kForeignLevel : slot.level;
  record.attempt = slot.attempt;
  record.id = slot.id;
  return record;
}

bool Dispatcher::Settle(std::uint32_t index, RecordKind kind, ByteSpan payload, std::uint32_t worker,
                        std::uint32_t run_us) noexcept {
  TaskSlot& slot = slab_[index];
  // What is settled while a frame is looked at has its payload from there.
  Record record = RecordOf(index, receiving_ == nullptr ? kind : KindFrom(*receiving_, kind), worker);
  record.run_us = run_us;
  // The owner knows the names of its own tasks; of others it finds them in the task.
  const ByteSpan result = payload;
  if ((kind == RecordKind::kTimeout || kind == RecordKind::kDeadline) && !slot.IsOwned()) payload = slot.payload();
  bool to_inbox = true;
  switch (kind) {
    case RecordKind::kValue:
      Count(slot, &Tally::done, 1);
      to_inbox = false;
      break;
    case RecordKind::kCancelled:
      Count(slot, &Tally::cancelled, 1);
      to_inbox = false;
      break;
    case RecordKind::kDeadline:
      Count(slot, &Tally::cancelled, 1);
      break;
    default:
      Count(slot, &Tally::failed, 1);
      break;
  }
  // A lost task's error is the owner's, who has the exit code; the record in the inbox marks its place.
  to_inbox = to_inbox && !discarding_ && (slot.Has(kFlagInboxErrors) || IsOrphan(slot));
  if (to_inbox) inbox_.Append(record, kind == RecordKind::kLost ? ByteSpan{} : payload);
  if (kind != RecordKind::kLost && (slot.IsOwned() || report_all_)) {
    Bytes memory;
    const bool is_long = kind == RecordKind::kValue && payload.size() >= RecordQueue::kLong;
    if (is_long && receiving_ != nullptr) memory = receiving_->decoder.TakeBody();
    if (memory.empty()) {
      completions_.Append(record, payload);
    } else {
      const auto offset = static_cast<std::size_t>(payload.data() - memory.data());
      completions_.AppendAttached(record, std::move(memory), offset);
    }
  }
  if (!letters_.empty()) letters_.erase(index);
  if (!placed_.empty()) placed_.Remove(index);
  if (slot.is_child) TellParent(index, StatusOf(kind), worker, result);
  if (slot.ticket != kNoTicket) {
    // The owner may have given the ticket to another task already.
    if (slot_of_ticket_[slot.ticket] == index) slot_of_ticket_[slot.ticket] = kNoSlot;
    slot.ticket = kNoTicket;
  }
  // One that is still in the queue keeps its slot as a tombstone until it is popped.
  if (slot.entries == 0) {
    slab_.Free(index);
  } else {
    slot.status.store(SlotStatus::kCancelled, std::memory_order_relaxed);
    slot.ReleasePayload();
  }
  return to_inbox;
}

void Dispatcher::Count(const TaskSlot& slot, std::uint64_t Tally::*where, int step) noexcept {
  counts_.*where += step;
  tallies_[slot.level].*where += step;
}

void Dispatcher::Move(const TaskSlot& slot, std::uint64_t Tally::*from, std::uint64_t Tally::*to) noexcept {
  Count(slot, from, -1);
  Count(slot, to, 1);
}

// ---- connections --------------------------------------------------------------

std::uint32_t Dispatcher::Connect(std::uint32_t worker, SharedPage page, std::uint32_t place) noexcept {
  const std::uint32_t handle = NewConnection(worker, std::move(page));
  if (handle != 0) {
    Get(handle)->window = options_.concurrency - 1 + std::max(options_.prefetch, 1u);
    Get(handle)->place = place;
    if (place != 0) placed_.Come(place);
    TellSpin(*Get(handle));
  }
  return handle;
}

std::uint32_t Dispatcher::ConnectForeign(std::uint32_t worker) noexcept {
  const std::uint32_t handle = NewConnection(worker, nullptr);
  if (handle != 0) {
    Get(handle)->foreign = true;
    Get(handle)->greeted = true;
  }
  return handle;
}

std::uint32_t Dispatcher::ConnectRemote(std::uint32_t worker) noexcept {
  const std::uint32_t handle = NewConnection(worker, nullptr);
  if (handle != 0) {
    Get(handle)->remote = true;
    Get(handle)->window = options_.concurrency;
  }
  return handle;
}

std::uint32_t Dispatcher::NewConnection(std::uint32_t worker, SharedPage page) noexcept {
  std::size_t index = 0;
  while (index < connections_.size() && connections_[index].connection != nullptr) ++index;
  if (index == connections_.size()) {
    if (index >> kIndexBits != 0) return 0;
    connections_.emplace_back();
  }
  Entry& entry = connections_[index];
  const std::uint32_t handle = entry.generation << kIndexBits | static_cast<std::uint32_t>(index);
  entry.connection = std::make_unique<Connection>(handle, worker, std::move(page), options_.max_frame_bytes);
  return handle;
}

Connection* Dispatcher::Get(std::uint32_t handle) const noexcept {
  const std::uint32_t index = IndexOf(handle);
  if (index >= connections_.size()) return nullptr;
  Connection* connection = connections_[index].connection.get();
  return connection != nullptr && connection->handle == handle ? connection : nullptr;
}

void Dispatcher::MarkDirty(Connection& connection) noexcept {
  if (std::exchange(connection.dirty, true)) return;
  dirty_.push_back(connection.handle);
}

void Dispatcher::SendHello(std::uint32_t handle, ByteSpan configuration) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return;
  std::uint8_t* body = AppendFrame(connection->output.tail(), kHello, configuration.size());
  if (!configuration.empty()) std::memcpy(body, configuration.data(), configuration.size());
  MarkDirty(*connection);
}

void Dispatcher::SendClose(std::uint32_t handle, bool abort) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return;
  if (!std::exchange(connection->closing, true) && connection->place != 0) placed_.Go(connection->place);
  Recall(*connection);
  // relaxed: a hint, as the lanes' words are.
  if (abort && connection->page) connection->page->closing.store(1, std::memory_order_relaxed);
  std::uint8_t* body = AppendFrame(connection->output.tail(), kClose, connection->foreign ? 0 : 1);
  if (!connection->foreign) Store(body, static_cast<std::uint8_t>(abort));
  MarkDirty(*connection);
}

bool Dispatcher::Disconnect(std::uint32_t handle) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return false;
  Entry& entry = connections_[IndexOf(handle)];
  const std::unique_ptr<Connection> gone = std::move(entry.connection);
  entry.generation = (entry.generation + 1) & ((1u << (32 - kIndexBits)) - 1);
  if (entry.generation == 0) entry.generation = 1;
  if (gone->place != 0 && !gone->closing) placed_.Go(gone->place);
  // By the claim word, not by a look at it: a process that still lives must not begin what is given to another.
  Recall(*gone);
  for (InFlight& flight : gone->in_flight) {
    ReleaseForks(*gone, flight);
    TaskSlot& slot = slab_[flight.slot];
    // A worker that was killed because of a task did not die of it, and a link that was cut is nobody's fault.
    const bool died = !gone->remote || gone->exited;
    if (died && !slot.Has(kFlagStopAsked) && slot.crashes < 0xFF) ++slot.crashes;
    const bool ended = gone->page && gone->page->ended.Has(flight.sequence);
    Hold(flight.slot, gone->worker);
    const RecordKind kind = ended ? RecordKind::kLostResult : RecordKind::kLost;
    completions_.Append(RecordOf(flight.slot, kind, gone->worker), slot.payload());
  }
  return true;
}

}  // namespace bosun
