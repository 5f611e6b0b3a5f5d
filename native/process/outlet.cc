#include "process/outlet.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "frame/frame.h"
#include "process/clock.h"

namespace bosun {
namespace {

#if defined(MSG_NOSIGNAL)
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
// Node ignores SIGPIPE.
constexpr int kSendFlags = MSG_DONTWAIT;
#endif

// The bytes written; 0: no room; -1: the reader is gone.
ssize_t SendSome(int fd, ByteSpan first, ByteSpan second) noexcept {
  // sendmsg does not write to what iovec cannot call const.
  iovec parts[2] = {{const_cast<std::uint8_t*>(first.data()), first.size()},
                    {const_cast<std::uint8_t*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = second.empty() ? 1 : 2;
  for (;;) {
    const ssize_t written = ::sendmsg(fd, &message, kSendFlags);
    if (written > 0) return written;
    if (written < 0 && errno == EINTR) continue;
    return written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
  }
}

}  // namespace

Outlet::Outlet(int fd) noexcept : fd_(fd) {
  sigset_t all, before;
  ::sigfillset(&all);
  // Signals are for the threads of Node.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  flusher_ = std::thread([this] { Run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Outlet::~Outlet() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  flusher_.join();
}

std::size_t Outlet::Append(std::uint8_t type, ByteSpan fields, ByteSpan payload, std::uint64_t now_us) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_broken_) return 0;
  if (bytes_.capacity() - bytes_.size() < kHeaderBytes + fields.size() + payload.size() && head_ > 0) {
    // Before it grows: what was written makes room.
    bytes_ = Bytes(bytes_.span().subspan(head_));
    head_ = 0;
  }
  std::uint8_t* at = bytes_.Extend(kHeaderBytes + fields.size());
  at = Store(Store(at, type), static_cast<std::uint64_t>(fields.size() + payload.size()));
  if (!fields.empty()) std::memcpy(at, fields.data(), fields.size());
  if (payload.size() >= kLargePayload) payload = payload.subspan(WriteBehindPending(payload));
  if (is_broken_) return 0;
  bytes_.Append(payload);
  if (held_since_us_ == 0 && pending() > 0) held_since_us_ = now_us;
  return pending();
}

void Outlet::Wake() noexcept {
  // With the mutex, so that it sleeps, and is not only about to.
  const std::lock_guard lock(mutex_);
  wake_.notify_one();
}

bool Outlet::Flush() noexcept {
  const std::lock_guard lock(mutex_);
  const bool is_done = Write();
  held_since_us_ = 0;
  pause_us_ = kHoldUs;
  return is_done;
}

bool Outlet::FlushFully(int patience_ms) noexcept {
  const std::lock_guard lock(mutex_);
  while (!Write()) {
    pollfd room{fd_, POLLOUT, 0};
    if (::poll(&room, 1, patience_ms) != 0) continue;
    is_broken_ = true;
    bytes_.Release();
    head_ = 0;
  }
  held_since_us_ = 0;
  return !is_broken_;
}

// True when nothing is left to be written.
bool Outlet::Write() noexcept {
  while (pending() > 0) {
    const ssize_t written = SendSome(fd_, bytes_.span().subspan(head_), {});
    if (written == 0) return false;
    Advance(written < 0 ? pending() : static_cast<std::size_t>(written));
    is_broken_ = written < 0;
  }
  return true;
}

// How much of the payload the system has taken, behind all else.
std::size_t Outlet::WriteBehindPending(ByteSpan payload) noexcept {
  std::size_t taken = 0;
  while (taken < payload.size()) {
    const ssize_t written = SendSome(fd_, bytes_.span().subspan(head_), payload.subspan(taken));
    if (written == 0) break;
    is_broken_ = written < 0;
    if (is_broken_) return payload.size();
    const std::size_t before = std::min(static_cast<std::size_t>(written), pending());
    Advance(before);
    taken += static_cast<std::size_t>(written) - before;
  }
  return taken;
}

void Outlet::Advance(std::size_t written) noexcept {
  head_ += written;
  if (head_ < bytes_.size()) return;
  head_ = 0;
  if (bytes_.capacity() > kSpareBytes) {
    bytes_.Release();
  } else {
    bytes_.Clear();
  }
}

void Outlet::Run() noexcept {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (held_since_us_ == 0) {
      is_asleep_.store(true, std::memory_order_relaxed);
      wake_.wait(lock, [this] { return is_stopping_ || held_since_us_ != 0; });
      is_asleep_.store(false, std::memory_order_relaxed);
      continue;
    }
    const std::uint64_t now = NowUs();
    const std::uint64_t due = held_since_us_ + pause_us_;
    if (now < due) {
      wake_.wait_for(lock, std::chrono::microseconds(due - now), [this] { return is_stopping_; });
    } else if (Write()) {
      held_since_us_ = 0;
      pause_us_ = kHoldUs;
    } else {
      // The reader is slow; asking it ever more seldom costs nothing that is not lost already.
      held_since_us_ = now;
      pause_us_ = std::min(2 * pause_us_, kMaxPauseUs);
    }
  }
}

}  // namespace bosun
