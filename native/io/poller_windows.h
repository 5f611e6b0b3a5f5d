// WSAPoll over all sockets, for nobody can wait outside a libuv loop for what happens inside it: see io/poller.h.
//
// Cost: a look at every socket of the driver for each wait, and another one behind it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "process/socket.h"

namespace bosun {

class Poller {
 public:
  static constexpr int kReadable = 1;
  static constexpr int kWritable = 2;

  class Watch {
   public:
    Watch() = default;
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
      if (poller_ == nullptr) return;
      std::erase(poller_->watches_, this);
      poller_->Change();
    }

    bool Open(Poller& poller, Socket socket, void (*ready)(void*, int), void* context) noexcept {
      poller_ = &poller;
      socket_ = socket;
      ready_ = ready;
      context_ = context;
      poller.watches_.push_back(this);
      return true;
    }
    void Await(int events) noexcept {
      if (events == events_) return;
      events_ = events;
      poller_->Change();
    }
    void Stop() noexcept { Await(0); }

   private:
    friend class Poller;

    Poller* poller_ = nullptr;
    Socket socket_ = INVALID_SOCKET;
    int events_ = 0;
    void (*ready_)(void*, int) = nullptr;
    void* context_ = nullptr;
  };

  Poller() noexcept { OpenSocketPair(kick_read_, kick_write_); }

  bool is_open() const noexcept { return static_cast<bool>(kick_read_); }
  // No other loop can watch it.
  int descriptor() const noexcept { return -1; }
  bool IsReady() const noexcept { return false; }

  void Run() noexcept {
    std::vector<Watch*> watches;
    std::vector<WSAPOLLFD> polled;
    for (Watch* watch : watches_) {
      if (watch->events_ == 0) continue;
      watches.push_back(watch);
      polled.push_back(PolledFor(*watch));
    }
    if (polled.empty() || ::WSAPoll(polled.data(), static_cast<ULONG>(polled.size()), 0) <= 0) return;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      Watch* const watch = watches[i];
      // One that is told may close others.
      if (polled[i].revents == 0 || std::find(watches_.begin(), watches_.end(), watch) == watches_.end()) continue;
      const int events = EventsOf(polled[i].revents) & watch->events_;
      if (events != 0) watch->ready_(watch->context_, events);
    }
  }

  void Prepare() noexcept {
    polled_.assign(1, WSAPOLLFD{kick_read_.get(), POLLRDNORM, 0});
    for (const Watch* watch : watches_) {
      if (watch->events_ != 0) polled_.push_back(PolledFor(*watch));
    }
    is_waiting_ = true;
  }
  void Awake() noexcept { is_waiting_ = false; }
  bool Wait(std::uint64_t us, bool for_ever) noexcept {
    // Rounded up: nothing may be found not to be due yet, again and again.
    const int timeout = for_ever ? -1 : static_cast<int>(std::min<std::uint64_t>((us + 999) / 1000, 1 << 30));
    const int ready = ::WSAPoll(polled_.data(), static_cast<ULONG>(polled_.size()), timeout);
    if (polled_.front().revents != 0) {
      std::uint8_t kicks[64];
      ReceiveSome(kick_read_.get(), kicks);
    }
    return ready != 0;
  }
  void Kick() noexcept {
    if (!kick_write_) return;
    std::uint8_t byte = 0;
    iovec parts[] = {{&byte, sizeof byte}};
    SendSome(kick_write_.get(), parts);
  }

  void Close() noexcept {
    kick_read_ = UniqueSocket();
    kick_write_ = UniqueSocket();
  }

 private:
  // Whoever waits has a list of its own.
  void Change() noexcept {
    if (!is_waiting_) return;
    is_waiting_ = false;
    Kick();
  }

  static WSAPOLLFD PolledFor(const Watch& watch) noexcept {
    const int events =
        ((watch.events_ & kReadable) != 0 ? POLLRDNORM : 0) | ((watch.events_ & kWritable) != 0 ? POLLWRNORM : 0);
    return {watch.socket_, static_cast<SHORT>(events), 0};
  }
  // What is broken is found out by reading.
  static int EventsOf(SHORT happened) noexcept {
    return ((happened & ~POLLWRNORM) != 0 ? kReadable : 0) | ((happened & POLLWRNORM) != 0 ? kWritable : 0);
  }

  std::vector<Watch*> watches_;
  std::vector<WSAPOLLFD> polled_;  // of the thread that waits
  bool is_waiting_ = false;
  UniqueSocket kick_read_, kick_write_;
};

}  // namespace bosun
