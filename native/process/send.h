// Writing to a stream socket without waiting.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <span>

#include "frame/bytes.h"

namespace bosun {

// sendmsg does not write to what iovec cannot call const.
inline iovec PartOf(ByteSpan bytes) noexcept { return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; }

// The bytes written; 0: there is no room; -1: the reader is gone.
inline ssize_t SendSome(int fd, std::span<iovec> parts) noexcept {
#if defined(MSG_NOSIGNAL)
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
  // Node ignores SIGPIPE.
  constexpr int kFlags = MSG_DONTWAIT;
#endif
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(parts.size());
  for (;;) {
    const ssize_t written = ::sendmsg(fd, &message, kFlags);
    if (written > 0) return written;
    if (written < 0 && errno == EINTR) continue;
    return written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
  }
}

}  // namespace bosun
