// Who moves the bytes between a dispatcher and its local workers: a poller of its own that two threads run in turns.
//
//     direct    every task that was submitted has found a worker with credit. The owner's own loop watches
//               descriptor(), and the owner reads, dispatches and writes itself, and no other thread has to be woken.
//     backlog   tasks wait. The I/O thread watches, and dispatch goes on while the owner is busy or blocked. The owner
//               takes over again when nothing waits and it comes by.
//
// *The turn* is a lock, held only while the dispatcher or the loop is used, never while anybody waits for events. *The
// mode* says who waits. In direct mode the I/O thread sleeps, but looks from time to time while tasks are in flight: an
// owner that does not come by is blocked, and loses the loop. The owner has precedence for the turn.
//
// Who: one owner, the thread that made it, and the I/O thread. Connections that somebody else drives (Attach was not
// called for them) keep their output until the owner takes it.
// Not on Linux: a nested poll may stay silent, so there is no direct mode.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dispatch/dispatcher.h"
#include "io/channel.h"
#include "io/poller.h"

namespace bosun {

class Driver final : private ChannelOwner {
 public:
  // `wake(context)` is called on the I/O thread, when the owner has something to read or is to take over. Without
  // `direct` there is the other mode only.
  Driver(const DispatcherOptions& options, bool direct, void (*wake)(void*), void* context) noexcept;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() { Stop(); }

  // Starts the I/O thread; `wake` may be called from now on.
  void Start() noexcept;
  // Ends it, and closes the sockets of all connections. The dispatcher can still be asked.
  void Stop() noexcept;

  // False when the system has no descriptors left: it is of no use then.
  bool is_open() const noexcept { return poller_.is_open(); }
  // What the owner's loop watches for readability in direct mode; -1 where there is no such thing.
  int descriptor() const noexcept { return poller_.descriptor(); }

  // The owner's turn: exclusive use of the dispatcher, and of what follows below.
  class Turn {
   public:
    explicit Turn(Driver& driver) noexcept;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { driver_.turn_.unlock(); }

    Dispatcher* operator->() noexcept { return &driver_.dispatcher_; }
    // Drives a connection over its stream from now on. False when the system refuses.
    bool Attach(std::uint32_t connection, Stream stream) noexcept {
      return driver_.AttachChannel(connection, std::move(stream));
    }
    // Bytes of a connection that somebody else drives. What is refused ends it.
    void Receive(std::uint32_t connection, ByteSpan bytes) noexcept { driver_.OnBytes(connection, bytes); }
    // Ends a connection; of an attached one, behind what is there to read now.
    void Detach(std::uint32_t connection) noexcept { driver_.DetachChannel(connection); }
    // Reads what has arrived.
    void Serve() noexcept { driver_.RunLoop(); }
    // Sends what can be sent, and decides who waits for what follows: true when it is the owner.
    bool Advance() noexcept { return driver_.AdvanceAsOwner(); }
    // Calls write(connection, Bytes&&) for each connection that somebody else drives and that has output.
    template <class Write>
    void TakeForeign(Write&& write) {
      for (const std::uint32_t handle : std::exchange(driver_.foreign_, {})) {
        Connection* connection = driver_.dispatcher_.Find(handle);
        if (connection != nullptr && !connection->output.empty()) write(handle, connection->output.Take());
      }
    }
    // True when something has happened that the owner has to look at, and has not been told of.
    bool HasNews() noexcept { return driver_.HasNews(); }
    // The owner looks at all of it now.
    void TakeNews() noexcept {
      driver_.seen_ = driver_.Now();
      driver_.notified_ = false;
      driver_.dispatcher_.completions().ResetMostUrgent();
    }
    // The owner reads what is to be settled, and nothing else.
    void TakeCompletions() noexcept {
      driver_.seen_.records = driver_.Now().records;
      driver_.dispatcher_.completions().ResetMostUrgent();
    }
    // The loop has to turn once more, soon.
    bool is_unfinished() const noexcept { return driver_.changed_; }

   private:
    Driver& driver_;
  };

 private:
  enum class Mode : std::uint8_t { kDirect, kBacklog };

  void OnBytes(std::uint32_t connection, ByteSpan bytes) override;
  std::span<std::uint8_t> Wanted(std::uint32_t connection) override { return dispatcher_.Wanted(connection); }
  void OnWanted(std::uint32_t connection, std::size_t count) override;
  void OnFault(std::uint32_t connection, Fault fault);
  void OnEnd(std::uint32_t connection) override;
  void OnRoom(std::uint32_t connection) override;
  void OnChange() override { changed_ = true; }

  bool AttachChannel(std::uint32_t connection, Stream stream) noexcept;
  void DetachChannel(std::uint32_t connection) noexcept;
  void EndConnection(std::uint32_t connection, Fault fault) noexcept;
  Channel* ChannelOf(std::uint32_t connection) noexcept;

  void RunLoop() noexcept;
  void Flush() noexcept;
  void Progress() noexcept;
  bool AdvanceAsOwner() noexcept;
  // What the owner knows, or may know now.
  struct News {
    std::uint64_t records = 0;                       // for the owner to settle
    std::uint64_t inbox = 0;                         // messages, for the reader
    std::uint64_t left = 0, waiting = 0, fresh = 0;  // tasks
  };
  News Now() noexcept;
  bool HasNews() noexcept;
  bool IsBurstOver() const noexcept { return peak_ >= kBurst && dispatcher_.counts().Left() == 0; }

  // The I/O thread.
  void Run() noexcept;
  void LockBehindOwner(std::unique_lock<std::mutex>& lock) noexcept;
  void ServeBacklog(std::unique_lock<std::mutex>& lock) noexcept;
  void Watch(std::unique_lock<std::mutex>& lock) noexcept;
  // After a burst: gives the memory of its tasks back to the system, without the turn.
  void Trim(std::unique_lock<std::mutex>& lock) noexcept;
  void Notify() noexcept;
  // When the owner is to be told what is new: now, or a little later, together with what follows; kNever for nothing.
  std::uint64_t NotifyAt(std::uint64_t now_us) noexcept;

  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  // Fewer tasks leave nothing behind that would be worth the walk over the heap.
  static constexpr std::uint64_t kBurst = 10'000;

  const bool direct_;
  const bool bounded_;  // somebody may wait for room in the queue
  Poller poller_;
  Dispatcher dispatcher_;
  std::vector<std::uint8_t> memory_;
  std::vector<std::unique_ptr<Channel>> channels_;  // by the index in the connection's handle
  std::vector<std::unique_ptr<Channel>> ended_;     // inside their own callbacks; freed behind them
  std::vector<std::uint32_t> foreign_;              // connections with output that somebody else drives

  void (*const wake_)(void*);
  void* const context_;

  std::mutex turn_;
  // The owner waits for the turn: the I/O thread lets it go first.
  std::atomic<std::uint32_t> owner_waits_{0};
  std::condition_variable sleep_;  // of the I/O thread, in direct mode
  // Under the turn.
  Mode mode_ = Mode::kDirect;
  bool changed_ = false;
  bool stop_ = false;
  bool watching_ = false;  // the I/O thread looks from time to time
  bool notified_ = false;
  std::uint64_t notified_us_ = 0;
  News seen_;
  std::uint64_t peak_ = 0;  // of tasks that were left, since the last Trim
  std::uint64_t owner_turns_ = 0;
  std::uint64_t turns_seen_ = 0;     // of them, by the I/O thread when it looked last
  std::uint64_t thread_due_us_ = 0;  // when the I/O thread wakes by itself, while it waits in backlog mode
  std::chrono::milliseconds look_{0};
  std::thread thread_;
};

}  // namespace bosun
