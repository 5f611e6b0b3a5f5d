#include "dispatch/dispatcher.h"

#include <algorithm>

namespace bosun {
namespace {

// A connection's handle: the index of its entry and the entry's generation. 0 is never one.
constexpr std::uint32_t Index(std::uint32_t handle, std::uint32_t bits) { return handle & ((1u << bits) - 1); }

// True when `sequence` comes after `claimed`, across the wrap.
constexpr bool After(std::uint32_t sequence, std::uint32_t claimed) {
  return static_cast<std::int32_t>(sequence - claimed) > 0;
}

// In a round over the workers each gets at most this many tasks, so that a burst is spread before it is deep.
constexpr std::uint32_t kRoundTasks = 8;

// Half a segment of the queue: fewer tombstones are not worth the walk while tasks wait among them.
constexpr std::uint64_t kCompactAt = 512;

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
  return Enqueue(submission, payload);
}

bool Dispatcher::Enqueue(const Submission& submission, ByteSpan payload) noexcept {
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

// ---- what workers say ---------------------------------------------------------

Fault Dispatcher::Receive(std::uint32_t handle, ByteSpan bytes) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return Fault::kStaleConnection;
  connection->stuck = false;
  Fault fault = Fault::kNone;
  const DecodeResult result = connection->decoder.Push(bytes, [&](std::uint8_t type, ByteSpan body) {
    fault = OnFrame(*connection, type, body);
    return fault == Fault::kNone;
  });
  return result == DecodeResult::kTooLarge ? Fault::kTooLarge : fault;
}

Fault Dispatcher::OnFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept {
  if (!connection.greeted) {
    if (type == kHello) return OnHello(connection, body);
    if (type != kMessage && type != kStartFailed) return Fault::kOutOfPlace;
  }
  if (type >= kSchedule) return OnSchedule(connection, type - kSchedule, body);
  switch (type) {
    case kDone:
      return OnDone(connection, body);
    case kMessage:
      OnMessage(connection, body);
      return Fault::kNone;
    case kStartFailed: {
      Record record;
      record.worker = connection.worker;
      record.kind = RecordKind::kStartFailed;
      completions_.Append(record, body);
      return Fault::kNone;
    }
    case kNext:  // it found nothing to begin: its tasks had been taken back
      return Fault::kNone;
    case kHello:
      return Fault::kOutOfPlace;
    default:
      return Fault::kUnknownType;
  }
}

Fault Dispatcher::OnHello(Connection& connection, ByteSpan body) noexcept {
  if (body.size() < kHelloFields) return Fault::kMalformed;
  if (Load<std::uint16_t>(body.data()) != kProtocolVersion) return Fault::kMalformed;
  connection.greeted = true;
  Record record;
  record.worker = connection.worker;
  record.kind = RecordKind::kReady;
  completions_.Append(record, {});
  return Fault::kNone;
}

Fault Dispatcher::OnDone(Connection& connection, ByteSpan body) noexcept {
  if (body.size() < kDoneFields) return Fault::kMalformed;
  const std::uint32_t sequence = Load<std::uint32_t>(body.data());
  const std::uint8_t status = body[4];
  const std::uint32_t run_us = Load<std::uint32_t>(body.data() + 5);
  if (status > static_cast<std::uint8_t>(DoneStatus::kCancelled)) return Fault::kMalformed;
  std::deque<InFlight>& in_flight = connection.in_flight;
  const auto flight = std::find_if(in_flight.begin(), in_flight.end(),
                                   [&](const InFlight& candidate) { return candidate.sequence == sequence; });
  if (flight == in_flight.end()) return Fault::kBadSequence;
  const std::uint32_t slot = flight->slot;
  in_flight.erase(flight);
  --counts_.sent;
  if (prefetch_ == 0) connection.Learn(run_us);
  ++connection.tasks_ended;
  constexpr RecordKind kKinds[] = {RecordKind::kValue, RecordKind::kError, RecordKind::kCancelled};
  Settle(slot, kKinds[status], body.subspan(kDoneFields), &connection, run_us);
  return Fault::kNone;
}

Fault Dispatcher::OnSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept {
  if (level >= levels()) return Fault::kBadPriority;
  if (body.size() < kScheduleFields) return Fault::kMalformed;
  Submission submission;
  submission.id = static_cast<std::uint64_t>(connection.worker) << 32 | Load<std::uint32_t>(body.data());
  submission.level = level;
  submission.flags = kFlagInboxErrors;
  return Enqueue(submission, body.subspan(kScheduleFields)) ? Fault::kNone : Fault::kFull;
}

void Dispatcher::OnMessage(Connection& connection, ByteSpan body) noexcept {
  ++counts_.messages;
  ++connection.messages_received;
  unacknowledged_ = true;
  if (discarding_) {
    ++counts_.discarded;
    return;
  }
  Record record;
  record.worker = connection.worker;
  record.kind = RecordKind::kMessage;
  inbox_.Append(record, body);
}

void Dispatcher::Post(ByteSpan message) noexcept {
  ++counts_.messages;
  if (discarding_) {
    ++counts_.discarded;
    return;
  }
  Record record;
  record.kind = RecordKind::kMessage;
  inbox_.Append(record, message);
}

void Dispatcher::DiscardMessages() noexcept {
  counts_.discarded += inbox_.count();
  inbox_.Clear();
  discarding_ = true;
}

void Dispatcher::Acknowledge() noexcept {
  if (!unacknowledged_ || (!discarding_ && inbox_.count() > inbox_mark_)) return;
  unacknowledged_ = false;
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr || connection->messages_accepted == connection->messages_received) continue;
    connection->messages_accepted = connection->messages_received;
    Store(AppendFrame(connection->output, kAccepted, sizeof(std::uint32_t)), connection->messages_accepted);
    MarkDirty(*connection);
  }
}

// ---- the turn -----------------------------------------------------------------

void Dispatcher::Dispatch() noexcept {
  Acknowledge();
  if (tombstones_ > 0) Compact();
  if (counts_.waiting == 0) return;
  // Idle workers come first, with one task each: nobody waits behind another while some worker has nothing.
  Round(1, true);
  while (Round(kRoundTasks, false)) {
  }
  ++next_turn_;
}

bool Dispatcher::Round(std::uint32_t quota, bool idle_only) noexcept {
  bool sent = false;
  const std::size_t count = connections_.size();
  for (std::size_t i = 0; i < count && counts_.waiting > 0; ++i) {
    Connection* connection = connections_[(next_turn_ + i) % count].connection.get();
    if (connection == nullptr || (idle_only && !connection->in_flight.empty())) continue;
    const std::uint32_t room = std::min(connection->Room(), quota);
    std::uint32_t slot = kNoSlot;
    for (std::uint32_t n = 0; n < room && (slot = Pop()) != kNoSlot; ++n) {
      Send(*connection, slot);
      sent = true;
    }
    if (room > 0 && connection->page) connection->page->claim.Extend(connection->last_sent);
  }
  return sent;
}

std::uint32_t Dispatcher::Pop() noexcept {
  for (;;) {
    std::uint32_t index = kNoSlot;
    std::uint32_t level = queue_.FirstLevel();
    // Returned tasks are few and seldom: a worker was lost or recalled. Their level is looked for only then.
    std::uint32_t returned = levels();
    if (returned_count_ > 0) {
      returned = 0;
      while (returned < levels() && returned_[returned].empty()) ++returned;
    }
    if (returned < levels() && returned <= level) {
      index = returned_[returned].back();
      returned_[returned].pop_back();
      --returned_count_;
    } else if (!queue_.TryPop(&index, &level)) {
      return kNoSlot;
    }
    TaskSlot& slot = slab_[index];
    SlotStatus expected = SlotStatus::kQueued;
    // acq_rel: against a Cancel of the same task; whoever changes the status owns it.
    if (slot.status.compare_exchange_strong(expected, SlotStatus::kSent, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
      CountWaiting(slot, -1);
      return index;
    }
    --tombstones_;
    --tombstones_at_[slot.level];
    slab_.Free(index);
  }
}

void Dispatcher::Send(Connection& connection, std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  slot.connection = connection.handle;
  slot.sequence = ++connection.last_sent;
  connection.in_flight.push_back({slot.sequence, index});
  ++counts_.sent;
  const ByteSpan payload = slot.payload.span();
  std::uint8_t* at = AppendFrame(connection.output, kTask, kTaskFields + payload.size());
  at = Store(at, slot.sequence);
  at = Store(at, slot.attempt);
  at = Store(at, std::uint16_t{0});
  at = Store(at, slot.id);
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  MarkDirty(connection);
}

void Dispatcher::Return(std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  if (dropping_ || (slot.flags & kFlagStopAsked) != 0) {
    Settle(index, RecordKind::kCancelled, {}, nullptr, 0);
    return;
  }
  // release: pairs with the acquire in Cancel and Pop.
  slot.status.store(SlotStatus::kQueued, std::memory_order_release);
  CountWaiting(slot, 1);
  // Tasks of several workers may return, in any order of workers; they are few.
  std::vector<std::uint32_t>& stack = returned_[slot.level];
  auto at = stack.end();
  while (at != stack.begin() && After(slot.order, slab_[*(at - 1)].order)) --at;
  stack.insert(at, index);
  ++returned_count_;
}

void Dispatcher::ReturnUnclaimed(Connection& connection, std::uint32_t claimed) noexcept {
  std::deque<InFlight>& in_flight = connection.in_flight;
  while (!in_flight.empty() && After(in_flight.back().sequence, claimed)) {
    --counts_.sent;
    ++counts_.recalled;
    Return(in_flight.back().slot);
    in_flight.pop_back();
  }
}

void Dispatcher::Recall(Connection& connection) noexcept {
  if (!connection.page || connection.in_flight.empty()) return;
  ReturnUnclaimed(connection, connection.page->claim.Recall(connection.last_sent));
}

bool Dispatcher::AnyIdle(const Connection& but) const noexcept {
  return std::any_of(connections_.begin(), connections_.end(), [&](const Entry& entry) {
    const Connection* other = entry.connection.get();
    return other != nullptr && other != &but && other->in_flight.empty() && other->Room() > 0;
  });
}

// A single task is taken back only for a worker that could begin it: else it would go to and fro.
bool Dispatcher::HoldsBack(const Connection& connection) const noexcept {
  return connection.HasUnclaimed() && (connection.in_flight.size() > 1 || AnyIdle(connection));
}

bool Dispatcher::WatchStuck() noexcept {
  bool any = false;
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr) continue;
    connection->watched = HoldsBack(*connection);
    if (!connection->watched) continue;
    connection->watched_claim = connection->Claimed();
    any = true;
  }
  return any;
}

void Dispatcher::RecallStuck() noexcept {
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr || !connection->watched || connection->watched_claim != connection->Claimed()) continue;
    if (!HoldsBack(*connection)) continue;
    Recall(*connection);
    connection->stuck = true;
  }
}

void Dispatcher::Compact() noexcept {
  for (std::uint32_t level = 0; level < levels(); ++level) {
    if (tombstones_at_[level] == 0) continue;
    if (waiting_at_[level] > 0 && tombstones_at_[level] < std::max(kCompactAt, waiting_at_[level])) continue;
    std::vector<std::uint32_t> live;
    const auto keep = [&](std::uint32_t index) {
      // acquire: pairs with the release in Enqueue and Return.
      if (slab_[index].status.load(std::memory_order_acquire) == SlotStatus::kQueued) {
        live.push_back(index);
      } else {
        slab_.Free(index);
      }
    };
    std::vector<std::uint32_t>& stack = returned_[level];
    returned_count_ -= stack.size();
    // From the back: what returned goes before what was never sent.
    for (; !stack.empty(); stack.pop_back()) keep(stack.back());
    for (std::uint32_t index = 0; queue_.TryPopLevel(level, &index);) keep(index);
    stack.assign(live.rbegin(), live.rend());
    returned_count_ += stack.size();
    tombstones_ -= tombstones_at_[level];
    tombstones_at_[level] = 0;
  }
}

// ---- closing ------------------------------------------------------------------

void Dispatcher::Drop() noexcept {
  dropping_ = true;
  for (std::uint32_t index = Pop(); index != kNoSlot; index = Pop()) {
    Settle(index, RecordKind::kCancelled, {}, nullptr, 0);
  }
  for (Entry& entry : connections_) {
    if (entry.connection) Recall(*entry.connection);
  }
}

}  // namespace bosun
