#include "io/driver.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "process/clock.h"
#include "process/quiet_thread.h"

namespace bosun {
namespace {

// Read at once; a worker's answers to a full window fit into it.
constexpr std::size_t kMemory = 256 << 10;

// A loop that still has something to do after so many rounds goes on in the next turn.
constexpr int kRounds = 8;

// How often the I/O thread looks whether the owner comes by, while tasks are in flight: seldom while nothing happens.
constexpr std::chrono::milliseconds kFirstLook{1};
constexpr std::chrono::milliseconds kLastLook{32};

// While tasks wait, their callers are told of results in batches: each time that the owner is woken costs a core, which
// a worker could use, some tens of microseconds.
constexpr std::uint64_t kCompanyUs = 500;

// Behind a burst, before its memory is given back: the next one may need it.
constexpr std::uint64_t kQuietUs = 50'000;

}  // namespace

Driver::Driver(const DispatcherOptions& options, bool direct, void (*wake)(void*), void* context) noexcept
    : direct_(direct),
      bounded_(options.max_queue != ~std::uint64_t{0}),
      dispatcher_(options),
      memory_(kMemory),
      wake_(wake),
      context_(context) {
  mode_ = direct_ ? Mode::kDirect : Mode::kBacklog;
}

void Driver::Start() noexcept {
  thread_ = StartQuietThread([this] { Run(); });
}

void Driver::Stop() noexcept {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(turn_);
    stop_ = true;
  }
  sleep_.notify_one();
  poller_.Kick();
  thread_.join();
  channels_.clear();
  RunLoop();
  poller_.Close();
  // Whoever still takes a turn has nothing to wake.
  mode_ = Mode::kDirect;
  watching_ = true;
}

// ---- connections --------------------------------------------------------------

Channel* Driver::ChannelOf(std::uint32_t connection) noexcept {
  const std::uint32_t index = Dispatcher::IndexOf(connection);
  if (index >= channels_.size() || channels_[index] == nullptr) return nullptr;
  return channels_[index]->connection() == connection ? channels_[index].get() : nullptr;
}

bool Driver::AttachChannel(std::uint32_t connection, Stream stream) noexcept {
  ChannelOwner& owner = *this;
  auto channel = std::make_unique<Channel>(poller_, connection, std::move(stream), memory_, owner);
  if (!channel->is_open()) return false;
  const std::uint32_t index = Dispatcher::IndexOf(connection);
  if (index >= channels_.size()) channels_.resize(index + 1);
  channels_[index] = std::move(channel);
  return true;
}

void Driver::DetachChannel(std::uint32_t connection) noexcept {
  if (Channel* channel = ChannelOf(connection)) channel->Read();
  EndConnection(connection, Fault::kNone);
  ended_.clear();
}

void Driver::EndConnection(std::uint32_t connection, Fault fault) noexcept {
  const Connection* ending = dispatcher_.Find(connection);
  if (ending == nullptr) return;
  Record record;
  record.kind = RecordKind::kClosed;
  record.worker = ending->worker;
  record.run_us = static_cast<std::uint32_t>(fault);
  record.id = ending->tasks_ended;
  // First come the tasks that it has lost.
  dispatcher_.Disconnect(connection);
  dispatcher_.completions().Append(record, {});
  if (Channel* channel = ChannelOf(connection)) {
    channel->Stop();
    // It may be what is calling.
    ended_.push_back(std::move(channels_[Dispatcher::IndexOf(connection)]));
  }
}

void Driver::OnBytes(std::uint32_t connection, ByteSpan bytes) {
  OnFault(connection, dispatcher_.Receive(connection, bytes));
}

void Driver::OnWanted(std::uint32_t connection, std::size_t count) {
  OnFault(connection, dispatcher_.ReceiveWanted(connection, count));
}

void Driver::OnFault(std::uint32_t connection, Fault fault) {
  if (fault != Fault::kNone && fault != Fault::kStaleConnection) EndConnection(connection, fault);
}

void Driver::OnEnd(std::uint32_t connection) { EndConnection(connection, Fault::kNone); }

void Driver::OnRoom(std::uint32_t connection) {
  Connection* found = dispatcher_.Find(connection);
  if (found != nullptr) ChannelOf(connection)->Write(found->output);
}

void Driver::Flush() noexcept {
  dispatcher_.Flush([this](Connection& connection) {
    Channel* channel = ChannelOf(connection.handle);
    if (channel == nullptr) {
      foreign_.push_back(connection.handle);
    } else if (!channel->is_full()) {
      channel->Write(connection.output);
    }
  });
}

// ---- the turn -------------------------------------------------------------------

Driver::Turn::Turn(Driver& driver) noexcept : driver_(driver) {
  if (!driver.turn_.try_lock()) {
    // acq_rel, here and below: nothing is published by it, the turn itself does that; it only has to be seen soon.
    driver.owner_waits_.fetch_add(1, std::memory_order_acq_rel);
    driver.turn_.lock();
    driver.owner_waits_.fetch_sub(1, std::memory_order_acq_rel);
    driver.owner_waits_.notify_one();
  }
  driver.dispatcher_.set_now(NowUs());
}

void Driver::RunLoop() noexcept {
  dispatcher_.set_now(NowUs());
  int rounds = 0;
  do {
    changed_ = false;
    poller_.Run();
    ended_.clear();
    // New descriptors, and closed ones, count only from the next round on.
  } while (changed_ && ++rounds < kRounds);
}

void Driver::Progress() noexcept {
  dispatcher_.Dispatch();
  Flush();
  if (changed_) RunLoop();
  peak_ = std::max(peak_, dispatcher_.counts().Left());
}

bool Driver::AdvanceAsOwner() noexcept {
  ++owner_turns_;
  Progress();
  const bool tasks_wait = dispatcher_.backlog() > 0;
  if (mode_ == Mode::kBacklog && direct_ && !tasks_wait) {
    // The I/O thread finds out when it wakes next.
    mode_ = Mode::kDirect;
  } else if (mode_ == Mode::kDirect && tasks_wait) {
    mode_ = Mode::kBacklog;
    sleep_.notify_one();
  } else if (mode_ == Mode::kDirect && !watching_ && (dispatcher_.counts().sent > 0 || peak_ >= kBurst)) {
    watching_ = true;
    sleep_.notify_one();
  }
  const std::uint64_t due = dispatcher_.next_due();
  const bool too_late = due != 0 && due < thread_due_us_;
  if (mode_ == Mode::kDirect) {
    if (too_late) sleep_.notify_one();
    return true;
  }
  if (changed_ || too_late) poller_.Kick();
  return false;
}

Driver::News Driver::Now() noexcept {
  const Counts& counts = dispatcher_.counts();
  return {dispatcher_.completions().appended(), dispatcher_.inbox().appended(), counts.Left(), counts.waiting,
          counts.fresh};
}

bool Driver::HasNews() noexcept {
  const News now = Now();
  if (now.records != seen_.records || now.inbox != seen_.inbox || !foreign_.empty()) return true;
  // Tasks that nobody waits for leave no record: but that the last has ended is one, that some wait (for a worker that
  // has yet to be started), and that the queue has room.
  return (now.left == 0 && seen_.left > 0) || (now.waiting > 0 && seen_.waiting == 0) ||
         (bounded_ && now.fresh < seen_.fresh);
}

// ---- the I/O thread ---------------------------------------------------------------

void Driver::Notify() noexcept {
  if (!std::exchange(notified_, true)) wake_(context_);
}

std::uint64_t Driver::NotifyAt(std::uint64_t now_us) noexcept {
  if (dispatcher_.backlog() == 0) return direct_ || HasNews() ? now_us : kNever;
  if (!HasNews()) return kNever;
  // What is more urgent than all that waits has somebody who waits for it; for the rest the workers are what limits.
  const bool urgent = dispatcher_.completions().most_urgent() < dispatcher_.most_urgent_waiting();
  return urgent ? now_us : notified_us_ + kCompanyUs;
}

void Driver::LockBehindOwner(std::unique_lock<std::mutex>& lock) noexcept {
  // acquire: as in Turn.
  for (std::uint32_t waits; (waits = owner_waits_.load(std::memory_order_acquire)) != 0;) owner_waits_.wait(waits);
  lock.lock();
}

void Driver::Run() noexcept {
  std::unique_lock lock(turn_, std::defer_lock);
  LockBehindOwner(lock);
  while (!stop_) {
    if (mode_ == Mode::kBacklog) {
      ServeBacklog(lock);
    } else {
      Watch(lock);
    }
  }
}

void Driver::Trim(std::unique_lock<std::mutex>& lock) noexcept {
  peak_ = 0;
  lock.unlock();
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
  LockBehindOwner(lock);
}

void Driver::ServeBacklog(std::unique_lock<std::mutex>& lock) noexcept {
  RunLoop();
  Progress();
  const std::uint64_t now = NowUs();
  const std::uint64_t notify_at = notified_ ? kNever : NotifyAt(now);
  if (notify_at <= now) {
    notified_us_ = now;
    Notify();
  }
  thread_due_us_ = dispatcher_.next_due();
  if (thread_due_us_ == 0) thread_due_us_ = IsBurstOver() ? now + kQuietUs : kNever;
  if (notify_at > now) thread_due_us_ = std::min(thread_due_us_, notify_at);
  if (changed_) thread_due_us_ = now;
  const std::uint64_t due = thread_due_us_;
  poller_.Prepare();
  lock.unlock();
  const bool quiet = !poller_.Wait(due > now ? due - now : 0, due == kNever);
  LockBehindOwner(lock);
  poller_.Awake();
  thread_due_us_ = 0;
  if (quiet && IsBurstOver()) Trim(lock);
}

void Driver::Watch(std::unique_lock<std::mutex>& lock) noexcept {
  const std::uint64_t turns = owner_turns_;
  if (dispatcher_.counts().sent == 0 && turns == turns_seen_) {
    if (IsBurstOver()) {
      Trim(lock);
      return;
    }
    watching_ = false;
    sleep_.wait(lock);
    look_ = kFirstLook;
    return;
  }
  watching_ = true;
  look_ = turns == turns_seen_ ? std::min(2 * look_, kLastLook) : kFirstLook;
  turns_seen_ = turns;
  const std::uint64_t now = NowUs();
  const std::uint64_t due = dispatcher_.next_due();
  thread_due_us_ = now + static_cast<std::uint64_t>(std::chrono::microseconds(look_).count());
  if (due != 0) thread_due_us_ = std::min(thread_due_us_, std::max(due, now));
  sleep_.wait_for(lock, std::chrono::microseconds(thread_due_us_ - now));
  thread_due_us_ = 0;
  if (stop_ || mode_ != Mode::kDirect) return;
  // A timer of the owner's loop may be milliseconds late.
  const std::uint64_t due_now = dispatcher_.next_due();
  if (due_now != 0 && due_now <= NowUs()) {
    dispatcher_.set_now(NowUs());
    Progress();
    if (HasNews()) Notify();
  }
  if (owner_turns_ != turns) return;
  if (poller_.IsReady()) mode_ = Mode::kBacklog;
}

}  // namespace bosun
