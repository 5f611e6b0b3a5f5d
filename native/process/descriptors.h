// Writing and closing descriptors that Node knows nothing of. POSIX only.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>

namespace bosun {

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
