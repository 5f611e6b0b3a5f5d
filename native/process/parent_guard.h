// Ends this process, and the processes that it started, when its parent is gone: also from a busy loop, and also when
// the parent was killed and could say nothing.
//
// Who: a worker's main thread makes one, early. Cost: one thread that sleeps in poll(), no wake-ups.
//
// A pipe from the parent tells: it hangs up when the last copy of the other end is closed, which the kernel does for a
// process that dies in whatever way. A parent-death signal would be tied to the *thread* that forked, and so end the
// workers of a manager whose thread ends.
// Not for: a process that shares its process group with others; the constructor makes a group of its own.
#pragma once

#if !defined(_WIN32)
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#endif

#include <atomic>
#include <memory>

#include "process/descriptors.h"
#include "process/quiet_thread.h"

namespace bosun {

class ParentGuard {
 public:
  // `lifeline` stays the caller's; a copy is watched.
  explicit ParentGuard(int lifeline) noexcept : state_(std::make_shared<State>()) {
#if !defined(_WIN32)
    // So that one signal reaches what this process starts as well, and a Ctrl-C in the terminal does not. (On Windows
    // libuv ends the children of a process with it.)
    ::setpgid(0, 0);
#endif
    state_->lifeline = UniqueFd(DuplicateDescriptor(lifeline));
    StartQuietThread([state = state_] { Watch(*state); }).detach();
  }
  ParentGuard(const ParentGuard&) = delete;
  ParentGuard& operator=(const ParentGuard&) = delete;

  // This process is about to end by itself; the parent may hang up first.
  void Release() noexcept { state_->released.store(true, std::memory_order_relaxed); }

 private:
  // The thread outlives the object when the environment ends first; neither frees it for the other.
  struct State {
    UniqueFd lifeline;
    // relaxed: a flag with nothing behind it.
    std::atomic<bool> released{false};
  };

  static void Watch(const State& state) noexcept {
#if defined(_WIN32)
    // Nobody writes: it returns when nobody can any more.
    std::uint8_t byte = 0;
    DWORD got = 0;
    ::ReadFile(uv_get_osfhandle(state.lifeline.get()), &byte, sizeof byte, &got, nullptr);
    if (!state.released.load(std::memory_order_relaxed)) ::TerminateProcess(::GetCurrentProcess(), 1);
#else
    // No events are asked for: POLLHUP and POLLERR come without.
    pollfd watched{state.lifeline.get(), 0, 0};
    while (::poll(&watched, 1, -1) < 0 && errno == EINTR) {
    }
    if (!state.released.load(std::memory_order_relaxed)) ::kill(0, SIGKILL);
#endif
  }

  std::shared_ptr<State> state_;
};

}  // namespace bosun
