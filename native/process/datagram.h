// Datagrams between processes of one host: sockets of the Unix domain that have a path for a name.
//
// Who: one thread each. Nothing waits. Cost: a system call for each datagram. A datagram arrives whole or not at all,
// and those of one sender arrive in order. POSIX only. What the system says of the sender (Linux): its process and its
// user, which nobody can forge.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "frame/bytes.h"
#include "process/shared_page.h"

namespace bosun {

// Of a path, in bytes; its end is not counted.
inline constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
inline constexpr std::size_t kMaxDatagram = 65'535;

struct DatagramAddress {
  sockaddr_un name{};
  socklen_t length = 0;

  // False for a path that is empty or too long.
  bool Set(const std::string& path) noexcept {
    if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string::npos) return false;
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return true;
  }
  // Empty for a sender without a name.
  std::string path() const {
    if (length <= offsetof(sockaddr_un, sun_path)) return {};
    return std::string(name.sun_path, ::strnlen(name.sun_path, length - offsetof(sockaddr_un, sun_path)));
  }
};

// Without a name. errno says why there is none.
inline UniqueFd OpenDatagram() noexcept {
#if defined(SOCK_CLOEXEC)
  return UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
#else
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM, 0));
  if (fd) {
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  }
  return fd;
#endif
}

// One that others can send to by its path, where nothing may be yet: 0, or an errno.
inline int BindDatagram(const std::string& path, std::size_t buffer, UniqueFd& bound) noexcept {
  DatagramAddress address;
  if (!address.Set(path)) return ENAMETOOLONG;
  UniqueFd fd = OpenDatagram();
  if (!fd) return errno;
  const int on = 1;
  // The system gives what it allows.
  const int bytes = static_cast<int>(buffer);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
#if defined(SO_PASSCRED)
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return errno;
#else
  (void)on;
#endif
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.name), address.length) != 0) return errno;
  bound = std::move(fd);
  return 0;
}

// A socket that is writable when there is room at that path: an unconnected one cannot be asked. 0, or an errno.
inline int ConnectDatagram(const std::string& path, UniqueFd& connected) noexcept {
  DatagramAddress address;
  if (!address.Set(path)) return ENAMETOOLONG;
  UniqueFd fd = OpenDatagram();
  if (!fd) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.name), address.length) != 0) return errno;
  connected = std::move(fd);
  return 0;
}

// 0: it will arrive, unless its receiver ends before; else an errno. EAGAIN: there is no room.
inline int SendDatagram(int fd, ByteSpan bytes, const std::string& path) noexcept {
  DatagramAddress address;
  if (!address.Set(path)) return ENAMETOOLONG;
#if defined(MSG_NOSIGNAL)
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
  constexpr int kFlags = MSG_DONTWAIT;
#endif
  for (;;) {
    const ssize_t sent = ::sendto(fd, bytes.data(), bytes.size(), kFlags,
                                  reinterpret_cast<const sockaddr*>(&address.name), address.length);
    if (sent >= 0) return 0;
    if (errno == EINTR) continue;
    const bool is_full = errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM;
    return is_full ? EAGAIN : errno;
  }
}

struct Datagram {
  std::string source;  // its path; empty when it has none
  std::int64_t pid = -1;
  std::int64_t uid = -1;  // both: -1 where the system does not say
  std::size_t length = 0;
};

// Into `memory`, which has kMaxDatagram bytes. 0, or an errno; EAGAIN: nothing is there. EMSGSIZE: one that was longer,
// and is gone.
inline int ReceiveDatagram(int fd, std::uint8_t* memory, Datagram& datagram) noexcept {
  DatagramAddress address;
  iovec part{memory, kMaxDatagram};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_name = &address.name;
  message.msg_namelen = sizeof address.name;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = ::recvmsg(fd, &message, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EWOULDBLOCK ? EAGAIN : errno;
  if ((message.msg_flags & MSG_TRUNC) != 0) return EMSGSIZE;
  address.length = message.msg_namelen;
  datagram.source = address.path();
  datagram.length = static_cast<std::size_t>(got);
#if defined(SCM_CREDENTIALS)
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_CREDENTIALS) continue;
    ucred credentials;
    std::memcpy(&credentials, CMSG_DATA(one), sizeof credentials);
    datagram.pid = credentials.pid;
    datagram.uid = credentials.uid;
  }
#endif
  return 0;
}

}  // namespace bosun
