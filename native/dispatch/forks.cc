// Tasks that wait for tasks which they have scheduled: their places are lent to those, and the results go back to them.

#include "dispatch/forks.h"

#include <algorithm>

#include "dispatch/dispatcher.h"

namespace bosun {
namespace {

constexpr std::size_t kKeptBuckets = 1024;

void Forget(Connection& connection, std::uint32_t number) noexcept {
  connection.forks.erase(number);
  // A burst leaves nothing behind.
  if (connection.forks.empty() && connection.forks.bucket_count() > kKeptBuckets)
    decltype(connection.forks)().swap(connection.forks);
}

}  // namespace

bool Dispatcher::BeginWait(Connection& connection, InFlight& parent) noexcept {
  if (parent.waits == 0) {
    // The last place that could run something would be gone.
    if (options_.places > 0 && waiting_tasks_ + 1 >= Places()) return false;
    ++waiting_tasks_;
    parent.has_waited = true;
    if (options_.places == 0) {
      ++connection.waiting;
      connection.has_waited = true;
      // Nothing else is begun there now, and what this task waits for is to be begun first.
      Recall(connection);
    }
  }
  ++parent.waits;
  return true;
}

std::uint32_t Dispatcher::Places() const noexcept {
  std::uint32_t places = 0;
  for (const Entry& entry : connections_) {
    const Connection* connection = entry.connection.get();
    if (connection != nullptr && !connection->closing) places += connection->foreign ? 1 : options_.concurrency;
  }
  return std::max(places, options_.places);
}

void Dispatcher::EndWait(Connection& connection, InFlight& parent) noexcept {
  if (parent.waits == 0 || --parent.waits > 0) return;
  --waiting_tasks_;
  if (options_.places == 0) --connection.waiting;
}

void Dispatcher::Await(Connection& connection, std::uint32_t number) noexcept {
  const auto known = connection.forks.find(number);
  if (known == connection.forks.end()) {
    SendResult(connection, number, ResultStatus::kUnknown, {}, {});
    return;
  }
  const std::uint32_t index = known->second;
  Fork& fork = forks_[index];
  if (fork.awaited) return;
  const auto parent = connection.FindFlight(fork.parent);
  if (fork.slot == kNoSlot) {
    SendResult(connection, number, fork.outcome.status, fork.outcome, fork.payload.span());
    Forget(connection, number);
    // What has ended is kept for a parent that runs.
    forks_.Unlink(parent->first_fork, index);
    forks_.Remove(index);
    return;
  }
  // Before the task is where it could be recalled from.
  const std::uint32_t slot = fork.slot;
  if (parent != connection.in_flight.end() && !BeginWait(connection, *parent)) {
    SendResult(connection, number, ResultStatus::kDeadlock, {}, {});
    return;
  }
  fork.awaited = true;
  Promote(slot);
}

void Dispatcher::Promote(std::uint32_t index) noexcept {
  TaskSlot& slot = slab_[index];
  slot.is_forked = true;
  // relaxed: one that waits is changed by this thread alone.
  if (slot.status.load(std::memory_order_relaxed) != SlotStatus::kQueued) return;
  // Its entry in the queue is stale from here on.
  ++tombstones_;
  ++tombstones_at_[slot.level];
  Stack(forked_[slot.level], forked_[slot.level].end(), index);
}

bool Dispatcher::IsOrphan(const TaskSlot& slot) noexcept {
  return slot.is_child && Get(forks_[slot.ticket].connection) == nullptr;
}

void Dispatcher::TellParent(std::uint32_t slot_index, ResultStatus status, std::uint32_t worker,
                            ByteSpan payload) noexcept {
  TaskSlot& slot = slab_[slot_index];
  const std::uint32_t index = std::exchange(slot.ticket, kNoTicket);
  slot.is_child = false;
  Fork& fork = forks_[index];
  fork.slot = kNoSlot;
  // What is settled while a frame is looked at has its payload from there.
  const bool foreign = receiving_ != nullptr && receiving_->remote;
  const ForkOutcome outcome{status, slot.attempt, worker, foreign};
  Connection* connection = Get(fork.connection);
  if (connection == nullptr) {
    forks_.Remove(index);
    return;
  }
  if (!fork.awaited) {
    fork.outcome = outcome;
    fork.payload.Append(payload);
    return;
  }
  const auto parent = connection->FindFlight(fork.parent);
  if (parent != connection->in_flight.end()) {
    forks_.Unlink(parent->first_fork, index);
    EndWait(*connection, *parent);
  }
  SendResult(*connection, fork.number, status, outcome, payload);
  Forget(*connection, fork.number);
  forks_.Remove(index);
}

void Dispatcher::SendResult(Connection& connection, std::uint32_t number, ResultStatus status,
                            const ForkOutcome& outcome, ByteSpan payload) noexcept {
  Bytes memory;
  if (payload.size() >= RecordQueue::kLong && receiving_ != nullptr) memory = receiving_->decoder.TakeBody();
  const std::size_t here = memory.empty() ? kResultFields + payload.size() : kResultFields;
  std::uint8_t* at = AppendHeader(connection.output.tail(), kResult, kResultFields + payload.size(), here);
  at = Store(at, number);
  at = Store(at, outcome.worker);
  at = Store(at, outcome.attempt);
  at = Store(at, status);
  at = Store(at, static_cast<std::uint8_t>(outcome.foreign));
  if (!memory.empty()) {
    const auto offset = static_cast<std::size_t>(payload.data() - memory.data());
    connection.output.AppendShared(SharedBytes(std::move(memory), offset));
  } else if (!payload.empty()) {
    std::memcpy(at, payload.data(), payload.size());
  }
  MarkDirty(connection);
}

void Dispatcher::ReleaseForks(Connection& connection, InFlight& parent) noexcept {
  if (parent.waits > 0) {
    parent.waits = 1;
    EndWait(connection, parent);
  }
  while (parent.first_fork != kNoFork) {
    const std::uint32_t index = parent.first_fork;
    Fork& fork = forks_[index];
    forks_.Unlink(parent.first_fork, index);
    if (fork.awaited) continue;
    if (fork.slot != kNoSlot) {
      slab_[fork.slot].is_child = false;
      slab_[fork.slot].ticket = kNoTicket;
    }
    Forget(connection, fork.number);
    forks_.Remove(index);
  }
}

void Dispatcher::CancelForks(Connection& connection, std::uint32_t sequence) noexcept {
  const auto parent = connection.FindFlight(sequence);
  if (parent == connection.in_flight.end() || parent->waits == 0) return;
  std::vector<std::uint32_t> slots;
  for (std::uint32_t i = parent->first_fork; i != kNoFork; i = forks_[i].next) {
    if (forks_[i].awaited && forks_[i].slot != kNoSlot) slots.push_back(forks_[i].slot);
  }
  for (const std::uint32_t slot : slots) CancelSlot(slot);
}

}  // namespace bosun
