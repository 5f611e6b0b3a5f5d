// Opening, writing and closing descriptors that Node knows nothing of. POSIX only.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>

namespace bosun {

// A pipe: [read end, write end]. Not inherited unless a child is given it. False when the system refuses.
inline bool OpenPipe(int (&ends)[2]) noexcept {
#if defined(__linux__)
  return ::pipe2(ends, O_CLOEXEC) == 0;
#else
  if (::pipe(ends) != 0) return false;
  for (int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return true;
#endif
}

// Lets a pipe hold as much as the system allows, so that its writer does not wait for a reader that is busy.
inline void Widen([[maybe_unused]] int pipe) noexcept {
#if defined(__linux__)
  constexpr int kPipeBytes = 1 << 20;
  ::fcntl(pipe, F_SETPIPE_SZ, kPipeBytes);
#endif
}

// Writes all of it, waiting for room when there is none; gives up after `patience_ms` without progress, and on errors.
// Who: a process in its last moments, whose event loop will not turn again.
inline bool WriteFully(int fd, std::span<const std::uint8_t> bytes, int patience_ms) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return false;
    pollfd room{fd, POLLOUT, 0};
    if (::poll(&room, 1, patience_ms) == 0) return false;
  }
  return true;
}

}  // namespace bosun
