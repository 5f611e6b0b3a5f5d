// The turn: which waiting task goes to which worker, and what is taken back.

#include <algorithm>

#include "dispatch/dispatcher.h"
#include "dispatch/sequence.h"

namespace bosun {
namespace {

// In a round over the workers each gets at most this many tasks, so that a burst is spread before it is deep.
constexpr std::uint32_t kRoundTasks = 8;

// Half a segment of the queue: fewer tombstones are not worth the walk while tasks wait among them.
constexpr std::uint64_t kCompactAt = 512;

// A worker may keep tasks behind the one that it runs for this long before they are taken back: half as long as the
// work that is sent ahead was meant to take, for it may have begun that one just behind the last look.
constexpr std::uint64_t kStuckUs = 500;

// And so many times as long while no other worker could begin them at once: as a rule it has lost its core to one of
// the others, and would be back to find nothing to do.
constexpr std::uint32_t kBusyPatience = 16;

// A wake-up costs 8 to 20 us on the machines that this was measured on; the next task of a caller who waits for the
// answer of the last comes within that time and his own: some tens of microseconds when he hears of several at once.
constexpr std::uint32_t kSpinUs = 120;

}  // namespace

void Dispatcher::Dispatch() noexcept {
  RingAlarms();
  if (stuck_due_us_ != 0 && stuck_due_us_ <= now_us_) {
    stuck_due_us_ = 0;
    RecallStuck();
  }
  Acknowledge();
  if (tombstones_ > 0) Compact();
  if (counts_.waiting > 0) {
    FeedIdle();
    while (counts_.waiting > 0 && Round(kRoundTasks)) {
    }
    ++next_turn_;
  }
  AnswerSchedules();
  SetSpin();
  if (stuck_due_us_ == 0 && counts_.sent > 0 && WatchStuck()) stuck_due_us_ = now_us_ + kStuckUs;
}

void Dispatcher::FeedIdle() noexcept {
  idle_.clear();
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection != nullptr && connection->running() == 0 && connection->Room() > 0) idle_.push_back(connection);
  }
  // Who is on another host comes last: its answer takes longer.
  std::sort(idle_.begin(), idle_.end(), [](const Connection* a, const Connection* b) {
    return a->remote != b->remote ? b->remote : a->heard > b->heard;
  });
  for (Connection* connection : idle_) {
    if (counts_.waiting == 0) return;
    Feed(*connection, 1);
  }
}

void Dispatcher::TellSpin(const Connection& connection) const noexcept {
  // relaxed: a hint, with no data behind it.
  if (connection.page) connection.page->spin_us.store(spinning_ ? kSpinUs : 0, std::memory_order_relaxed);
}

bool Dispatcher::Round(std::uint32_t quota) noexcept {
  bool sent = false;
  const std::size_t count = connections_.size();
  for (std::size_t i = 0; i < count && counts_.waiting > 0; ++i) {
    Connection* connection = connections_[(next_turn_ + i) % count].connection.get();
    if (connection != nullptr && Feed(*connection, quota)) sent = true;
  }
  return sent;
}

bool Dispatcher::Feed(Connection& connection, std::uint32_t quota) noexcept {
  const std::uint32_t room = std::min(connection.Room(), quota);
  std::uint32_t slot = kNoSlot;
  std::uint32_t sent = 0;
  for (; sent < room; ++sent) {
    const bool forked_only = !connection.TakesAny(options_.concurrency);
    if (forked_only && stacked_ == 0) break;
    // All that others pay for tasks with a place.
    slot = placed_.empty() ? Pop(forked_only) : PopFor(connection, forked_only);
    if (slot == kNoSlot) break;
    if (connection.remote && !IsForRemote(slot)) {
      // A local one will take it, and comes by for it: what is behind it is not to overtake it.
      PutBack(slot);
      break;
    }
    Send(connection, slot);
  }
  if (sent > 0 && connection.page) connection.page->claim.Extend(connection.last_sent);
  return sent > 0;
}

bool Dispatcher::IsForRemote(std::uint32_t index) noexcept {
  // The tags of plain payloads, see docs/protocol.md.
  constexpr std::uint8_t kLastPlainTag = 1;
  const ByteSpan payload = slab_[index].payload();
  if (payload.empty() || payload[0] <= kLastPlainTag) return true;
  if (expects_local_) return false;
  return std::none_of(connections_.begin(), connections_.end(), [](const Entry& entry) {
    const Connection* other = entry.connection.get();
    return other != nullptr && !other->remote && !other->foreign && !other->closing;
  });
}

void Dispatcher::PutBack(std::uint32_t index) noexcept {
  if (IsFresh(slab_[index]) && !dropping_) ++counts_.fresh;
  Return(index, &Tally::sent);
}

void Dispatcher::SetSpin() noexcept {
  if (options_.cores == 0) return;
  std::uint32_t busy = 0;
  for (const Entry& entry : connections_) {
    if (entry.connection != nullptr && !entry.connection->remote && !entry.connection->in_flight.empty()) ++busy;
  }
  const bool spin = busy < options_.cores;
  if (spin == spinning_) return;
  spinning_ = spin;
  for (const Entry& entry : connections_) {
    if (entry.connection != nullptr) TellSpin(*entry.connection);
  }
}

std::uint32_t Dispatcher::PopEntry(bool forked_only) noexcept {
  std::uint32_t level = forked_only ? levels() : queue_.FirstLevel();
  if (stacked_ > 0) {
    for (std::uint32_t i = 0; i < levels() && i <= level; ++i) {
      if (!forked_[i].empty()) return Unstack(forked_[i]);
      if (!forked_only && !returned_[i].empty()) return Unstack(returned_[i]);
    }
  }
  std::uint32_t index = kNoSlot;
  if (forked_only || !queue_.TryPop(&index, &level)) return kNoSlot;
  --slab_[index].entries;
  return index;
}

void Dispatcher::Stack(std::vector<std::uint32_t>& stack, std::vector<std::uint32_t>::iterator at,
                       std::uint32_t index) noexcept {
  stack.insert(at, index);
  ++slab_[index].entries;
  ++stacked_;
}

std::uint32_t Dispatcher::Unstack(std::vector<std::uint32_t>& stack) noexcept {
  const std::uint32_t index = stack.back();
  stack.pop_back();
  --slab_[index].entries;
  --stacked_;
  return index;
}

std::uint32_t Dispatcher::Pop(bool forked_only) noexcept {
  for (;;) {
    const std::uint32_t index = PopEntry(forked_only);
    if (index == kNoSlot) return kNoSlot;
    TaskSlot& slot = slab_[index];
    SlotStatus expected = SlotStatus::kQueued;
    // acq_rel: against a Cancel of the same task; whoever changes the status owns it.
    if (slot.status.compare_exchange_strong(expected, SlotStatus::kSent, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
      Move(slot, &Tally::waiting, &Tally::sent);
      if (IsFresh(slot)) --counts_.fresh;
      return index;
    }
    --tombstones_;
    --tombstones_at_[slot.level];
    // Else it has been sent from elsewhere, or has another entry.
    if (expected == SlotStatus::kCancelled && slot.entries == 0) slab_.Free(index);
  }
}

std::uint32_t Dispatcher::PopFor(const Connection& connection, bool forked_only) noexcept {
  const std::uint32_t own = forked_only ? kNoSlot : placed_.First(connection.place);
  if (own == kNoSlot) return Pop(forked_only);
  const std::uint32_t common = Pop();
  if (common != kNoSlot) {
    if (GoesBefore(common, own)) return common;
    PutBack(common);
  }
  TakePlaced(own);
  return own;
}

bool Dispatcher::GoesBefore(std::uint32_t common, std::uint32_t placed) noexcept {
  const TaskSlot& slot = slab_[common];
  const std::uint8_t level = slab_[placed].level;
  if (slot.is_forked || slot.level != level) return slot.level <= level;
  const std::uint64_t age = static_cast<std::uint32_t>(order_) - slot.order;
  return age > order_ - placed_.OrderOf(placed);
}

void Dispatcher::TakePlaced(std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  placed_.Leave(index);
  // relaxed: it is in no queue, so only this thread changes it.
  slot.status.store(SlotStatus::kSent, std::memory_order_relaxed);
  Move(slot, &Tally::waiting, &Tally::sent);
  if (IsFresh(slot)) --counts_.fresh;
}

void Dispatcher::Send(Connection& connection, std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  slot.connection = connection.handle;
  slot.sequence = ++connection.last_sent;
  connection.in_flight.push_back({slot.sequence, index});
  if (!slot.Has(kFlagCounted)) {
    slot.flags |= kFlagCounted;
    waits_.Add(now_us_ - slot.since_us);
  }
  if (slot.timeout_ms > 0) {
    SetAlarm(index, AlarmKind::kTimeout, now_us_ + std::uint64_t{slot.timeout_ms} * 1000);
  }
  const ByteSpan payload = slot.payload();
  const std::size_t fields = connection.foreign ? 0 : kTaskFields;
  // A long payload is written from where it lies; the header alone is appended here.
  const bool in_place = slot.IsLong() && !connection.foreign;
  std::uint8_t* at = AppendHeader(connection.output.tail(), kTask, fields + payload.size(),
                                  in_place ? fields : fields + payload.size());
  if (!connection.foreign) {
    at = Store(at, slot.sequence);
    at = Store(at, slot.attempt);
    const std::uint16_t foreign = slot.Has(kFlagForeign) || connection.remote ? kTaskForeign : std::uint16_t{0};
    const std::uint16_t forked = slot.is_forked ? kTaskForked : std::uint16_t{0};
    at = Store(at, static_cast<std::uint16_t>(foreign | forked));
    at = Store(at, slot.id);
  }
  if (in_place) {
    connection.output.AppendShared(slot.SharePayload());
  } else if (!payload.empty()) {
    std::memcpy(at, payload.data(), payload.size());
  }
  MarkDirty(connection);
  if (letters_.empty()) return;
  if (const auto letters = letters_.find(index); letters != letters_.end()) {
    for (const Letter& letter : letters->second) {
      AppendNumbered(connection, kLetter, slot.sequence, letter.foreign, letter.bytes.span());
    }
  }
}

void Dispatcher::Return(std::uint32_t index, std::uint64_t Tally::*from) noexcept {
  TaskSlot& slot = slab_[index];
  if (dropping_ || slot.Has(kFlagStopAsked)) {
    Count(slot, from, -1);
    Settle(index, RecordKind::kCancelled, {}, 0, 0);
    return;
  }
  // release: pairs with the acquire in Cancel and Pop.
  slot.status.store(SlotStatus::kQueued, std::memory_order_release);
  Move(slot, from, &Tally::waiting);
  if (placed_.Has(index)) {
    placed_.Enter(index);
    return;
  }
  // Tasks of several workers may return, in any order of workers; they are few.
  std::vector<std::uint32_t>& stack = slot.is_forked ? forked_[slot.level] : returned_[slot.level];
  auto at = stack.end();
  while (!slot.is_forked && at != stack.begin() && After(slot.order, slab_[*(at - 1)].order)) --at;
  Stack(stack, at, index);
}

void Dispatcher::ReturnUnclaimed(Connection& connection, std::uint32_t claimed) noexcept {
  std::deque<InFlight>& in_flight = connection.in_flight;
  while (!in_flight.empty() && After(in_flight.back().sequence, claimed)) {
    const InFlight flight = in_flight.back();
    in_flight.pop_back();
    ++counts_.recalled;
    // Only a worker that writes anything into its page is told to stop what it has not claimed.
    if (slab_[flight.slot].Has(kFlagStopAsked)) connection.LetGo(flight.sequence);
    Return(flight.slot, &Tally::sent);
  }
}

void Dispatcher::Recall(Connection& connection) noexcept {
  if (!connection.page || connection.in_flight.empty()) return;
  ReturnUnclaimed(connection, connection.page->claim.Recall(connection.last_sent));
}

bool Dispatcher::AnyIdle(const Connection& but) noexcept {
  return std::any_of(connections_.begin(), connections_.end(), [&](const Entry& entry) {
    const Connection* other = entry.connection.get();
    if (other == nullptr || other == &but || other->running() >= options_.concurrency || other->Room() == 0)
      return false;
    return other->TakesAny(options_.concurrency) || slab_[but.in_flight.back().slot].is_forked;
  });
}

// A single task is taken back only for a worker that could begin it: else it would go to and fro.
bool Dispatcher::HoldsBack(const Connection& connection) noexcept {
  return connection.HasUnclaimed() && (connection.running() > 1 || AnyIdle(connection));
}

bool Dispatcher::WatchStuck() noexcept {
  bool any = false;
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr) continue;
    const bool holds_back = HoldsBack(*connection);
    const std::uint32_t claim = holds_back ? connection->Claimed() : 0;
    if (!holds_back || !connection->watched || connection->HasMoved(claim)) connection->silent = 0;
    connection->watched = holds_back;
    if (!holds_back) continue;
    connection->watched_claim = claim;
    connection->watched_output = connection->output.size();
    any = true;
  }
  return any;
}

std::uint32_t Dispatcher::Patience(const Connection& connection) noexcept {
  return AnyIdle(connection) ? connection.patience : std::max(connection.patience, kBusyPatience);
}

void Dispatcher::RecallStuck() noexcept {
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr || !connection->watched || connection->HasMoved(connection->Claimed())) continue;
    if (!HoldsBack(*connection) || ++connection->silent < Patience(*connection)) continue;
    Recall(*connection);
    connection->stuck = true;
  }
}

void Dispatcher::Suspend(std::uint32_t handle, bool suspended) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return;
  connection->suspended = suspended;
  if (suspended) Recall(*connection);
}

void Dispatcher::Compact() noexcept {
  for (std::uint32_t level = 0; level < levels(); ++level) {
    if (tombstones_at_[level] == 0) continue;
    if (tallies_[level].waiting > 0 && tombstones_at_[level] < std::max(kCompactAt, tallies_[level].waiting)) continue;
    std::vector<std::uint32_t> live;
    const auto keep = [&](std::uint32_t index) {
      const TaskSlot& slot = slab_[index];
      // acquire: pairs with the release in Submit and Return.
      const SlotStatus status = slot.status.load(std::memory_order_acquire);
      // One that is in front of the queue may have been in it before.
      if (status == SlotStatus::kQueued && slot.entries == 0) live.push_back(index);
      if (status == SlotStatus::kCancelled && slot.entries == 0) slab_.Free(index);
    };
    const auto put = [&](std::vector<std::uint32_t>& stack) {
      for (; !live.empty(); live.pop_back()) Stack(stack, stack.end(), live.back());
    };
    // From the back: what returned goes before what was never sent.
    while (!returned_[level].empty()) keep(Unstack(returned_[level]));
    for (std::uint32_t index = 0; queue_.TryPopLevel(level, &index);) {
      --slab_[index].entries;
      keep(index);
    }
    put(returned_[level]);
    while (!forked_[level].empty()) keep(Unstack(forked_[level]));
    put(forked_[level]);
    tombstones_ -= tombstones_at_[level];
    tombstones_at_[level] = 0;
  }
}

void Dispatcher::Drop() noexcept {
  dropping_ = true;
  const auto drop = [this](std::uint32_t index) {
    Count(slab_[index], &Tally::sent, -1);
    Settle(index, RecordKind::kCancelled, {}, 0, 0);
  };
  for (std::uint32_t index = Pop(); index != kNoSlot; index = Pop()) drop(index);
  for (std::uint32_t index = placed_.Any(); index != kNoSlot; index = placed_.Any()) {
    TakePlaced(index);
    drop(index);
  }
  alarms_.TakeAll(AlarmKind::kRetry, [this](const Alarm& alarm) {
    if (IsValid(alarm)) Return(alarm.slot, &Tally::held);
  });
  for (Entry& entry : connections_) {
    if (entry.connection) Recall(*entry.connection);
  }
  stuck_due_us_ = 0;
}

}  // namespace bosun
