// Stream sockets: reading from them and writing to them without waiting, unless told to.
//
// On Windows a socket is no descriptor. It is made one to be inherited, and a socket again where it arrives.
#pragma once

#if defined(_WIN32)
#include "process/windows.h"
#else
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#endif

#include <cerrno>
#include <cstddef>
#include <span>

#include "frame/bytes.h"
#include "process/descriptors.h"

namespace bosun {

// Nobody writes to what iovec cannot call const.
inline iovec PartOf(ByteSpan bytes) noexcept { return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; }

#if !defined(_WIN32)

using Socket = int;
using UniqueSocket = UniqueFd;

// Two that are connected with each other. Not inherited. False when the system refuses; errno says why, as below.
inline bool OpenSocketPair(UniqueSocket& one, UniqueSocket& other) noexcept {
  int ends[2];
#if defined(SOCK_CLOEXEC)
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
  for (int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  one = UniqueSocket(ends[0]);
  other = UniqueSocket(ends[1]);
  return true;
}

// A child may inherit it then.
inline UniqueFd ToDescriptor(UniqueSocket socket) noexcept { return socket; }
// Takes over what ToDescriptor has made, or what a child has inherited of it.
inline UniqueSocket ToSocket(int fd) noexcept { return UniqueSocket(fd); }
inline UniqueSocket DuplicateSocket(Socket socket) noexcept { return UniqueSocket(DuplicateDescriptor(socket)); }

// The bytes written; 0: there is no room; -1: the reader is gone.
inline ssize_t SendSome(Socket socket, std::span<iovec> parts) noexcept {
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
    const ssize_t written = ::sendmsg(socket, &message, kFlags);
    if (written > 0) return written;
    if (written < 0 && errno == EINTR) continue;
    return written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
  }
}

// The bytes that are there, as many as fit; 0: none; -1: nor will there be any.
inline ssize_t ReceiveSome(Socket socket, std::span<std::uint8_t> target) noexcept {
  for (;;) {
    const ssize_t got = ::recv(socket, target.data(), target.size(), MSG_DONTWAIT);
    if (got > 0) return got;
    if (got < 0 && errno == EINTR) continue;
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
  }
}

// Waits until it is readable, or has room; false when it is not for so long.
inline bool AwaitSocket(Socket socket, bool for_room, int patience_ms) noexcept {
  pollfd awaited{socket, static_cast<short>(for_room ? POLLOUT : POLLIN), 0};
  return ::poll(&awaited, 1, patience_ms) != 0;
}

// Nothing more is sent; the other end is told so.
inline void EndSocket(Socket socket) noexcept { ::shutdown(socket, SHUT_WR); }

// A burst should leave by few writes; the system allows what it allows.
inline void WidenSocket(Socket socket) noexcept {
  const int room = 1 << 20;
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

#endif

}  // namespace bosun
