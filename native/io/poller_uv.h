// A private libuv loop, which two threads may run in turns: see io/poller.h.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "io/uv_handle.h"
#include "process/descriptors.h"
#include "process/socket.h"

namespace bosun {

class Poller {
 public:
  static constexpr int kReadable = UV_READABLE;
  static constexpr int kWritable = UV_WRITABLE;

  // One socket, from Open on.
  class Watch {
   public:
    Watch() noexcept : handle_(UV_POLL) {}

    // `ready(context, events)` is called inside Run. False when the system refuses.
    bool Open(Poller& poller, Socket socket, void (*ready)(void*, int), void* context) noexcept {
      if (uv_poll_init_socket(poller.loop_.get(), handle_.get(), socket) != 0) {
        handle_.Discard();
        return false;
      }
      uv_handle_set_data(handle_.base(), this);
      ready_ = ready;
      context_ = context;
      return true;
    }
    void Await(int events) noexcept {
      uv_poll_start(handle_.get(), events, [](uv_poll_t* handle, int status, int events) {
        const Watch& self = *OwnerOf<Watch>(handle);
        // What is broken is found out by reading.
        self.ready_(self.context_, status < 0 ? kReadable : events);
      });
    }
    void Stop() noexcept { uv_poll_stop(handle_.get()); }

   private:
    // libuv forgets the socket at once, so that it may be closed before the handle is.
    UvHandle<uv_poll_t> handle_;
    void (*ready_)(void*, int) = nullptr;
    void* context_ = nullptr;
  };

  Poller() noexcept : loop_(NewLoop()) {
    int ends[2];
    if (loop_ == nullptr || !OpenPipe(ends)) return;
    kick_read_ = UniqueFd(ends[0]);
    kick_write_ = UniqueFd(ends[1]);
    for (const int end : ends) ::fcntl(end, F_SETFL, O_NONBLOCK);
  }

  // False when the system has no descriptors left: it is of no use then.
  bool is_open() const noexcept { return static_cast<bool>(kick_read_); }
  // Readable when Run has something to do; what another loop may watch.
  int descriptor() const noexcept { return uv_backend_fd(loop_.get()); }
  bool IsReady() const noexcept {
    pollfd watched{descriptor(), POLLIN, 0};
    return ::poll(&watched, 1, 0) > 0;
  }

  // Tells of what is ready now. New sockets, and closed ones, count only from the next time on.
  void Run() noexcept {
    if (loop_ != nullptr) uv_run(loop_.get(), UV_RUN_NOWAIT);
  }

  // Before Wait, and behind it.
  void Prepare() noexcept {}
  void Awake() noexcept {}
  // Until something is ready or somebody kicks; false when neither comes for so long. Without the turn.
  bool Wait(std::uint64_t us, bool for_ever) noexcept {
    pollfd watched[2] = {{descriptor(), POLLIN, 0}, {kick_read_.get(), POLLIN, 0}};
#if defined(__linux__)
    const timespec timeout{static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000) * 1000};
    const int ready = ::ppoll(watched, 2, for_ever ? nullptr : &timeout, nullptr);
#else
    // Rounded up: nothing may be found not to be due yet, again and again.
    const int ready =
        ::poll(watched, 2, for_ever ? -1 : static_cast<int>(std::min<std::uint64_t>(us / 1000 + 1, 1 << 30)));
#endif
    if ((watched[1].revents & POLLIN) != 0) {
      std::uint8_t kicks[64];
      [[maybe_unused]] const ssize_t taken = ::read(kick_read_.get(), kicks, sizeof kicks);
    }
    return ready != 0;
  }
  void Kick() noexcept {
    const std::uint8_t byte = 0;
    // A full pipe says the same.
    [[maybe_unused]] const ssize_t written = ::write(kick_write_.get(), &byte, 1);
  }

  // Behind the last Watch.
  void Close() noexcept {
    loop_.reset();
    kick_read_ = UniqueFd();
    kick_write_ = UniqueFd();
  }

 private:
  struct CloseLoop {
    void operator()(uv_loop_t* loop) const noexcept {
      // Every handle is closing by now, and goes in a round of its own.
      while (uv_loop_close(loop) == UV_EBUSY) uv_run(loop, UV_RUN_NOWAIT);
      std::free(loop);
    }
  };

  static uv_loop_t* NewLoop() noexcept {
    auto* loop = static_cast<uv_loop_t*>(std::calloc(1, uv_loop_size()));
    if (loop != nullptr && uv_loop_init(loop) == 0) return loop;
    std::free(loop);
    return nullptr;
  }

  std::unique_ptr<uv_loop_t, CloseLoop> loop_;
  UniqueFd kick_read_, kick_write_;
};

}  // namespace bosun
