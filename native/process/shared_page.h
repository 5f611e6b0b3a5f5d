// The memory that a manager shares with a local worker, and the descriptors that a child inherits.
//
// Who: the manager's thread makes them, a worker maps its page once. Nothing here is on a hot path. POSIX only.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#if !defined(__linux__)
#include <cstdio>
#include <cstdlib>
#endif

#include "process/byte_ring.h"
#include "process/descriptors.h"
#include "process/status_page.h"

namespace bosun {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int Release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct UnmapPage {
  void operator()(StatusPage* page) const noexcept { ::munmap(page, sizeof(StatusPage)); }
};
using SharedPage = std::unique_ptr<StatusPage, UnmapPage>;

// Null when the descriptor is no page of ours; errno says why.
inline SharedPage MapPage(int fd) noexcept {
  void* memory = ::mmap(nullptr, sizeof(StatusPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  // The pages of a new file are zero, which is the state of a fresh StatusPage; nothing has to be constructed.
  return SharedPage(memory == MAP_FAILED ? nullptr : static_cast<StatusPage*>(memory));
}

// Behind the page, in the same file: what the two say to each other.
struct Rings {
  ByteRing to_worker;
  ByteRing to_manager;
};
// Systems map from a multiple of their pages on; none has larger ones.
inline constexpr std::size_t kRingsOffset = 64 << 10;
static_assert(sizeof(StatusPage) <= kRingsOffset);

struct UnmapRings {
  void operator()(Rings* rings) const noexcept { ::munmap(rings, sizeof(Rings)); }
};
using SharedRings = std::unique_ptr<Rings, UnmapRings>;

// False when the system refuses; errno says why. Null for a file that has none.
inline bool MapRings(int fd, SharedRings& rings) noexcept {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  if (static_cast<std::size_t>(status.st_size) < kRingsOffset + sizeof(Rings)) return true;
  void* memory = ::mmap(nullptr, sizeof(Rings), PROT_READ | PROT_WRITE, MAP_SHARED, fd, kRingsOffset);
  if (memory == MAP_FAILED) return false;
  // Zero, as the page.
  rings.reset(static_cast<Rings*>(memory));
  return true;
}

// A file without a name, close-on-exec from its creation, so that no other child can inherit it.
inline UniqueFd AnonymousFile(std::size_t bytes = sizeof(StatusPage)) noexcept {
#if defined(__linux__)
  UniqueFd fd(::memfd_create("bosun-status", MFD_CLOEXEC | MFD_ALLOW_SEALING));
#else
  char path[] = "/tmp/bosun-status-XXXXXX";
  UniqueFd fd(::mkstemp(path));
  if (fd) {
    ::unlink(path);
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  }
#endif
  if (fd && ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return UniqueFd();
#if defined(__linux__)
  // A worker that cut it short would have its manager killed by the next access (SIGBUS).
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (fd && ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return UniqueFd();
#endif
  return fd;
}

// What joins a manager with a local worker: a stream socket, a file with a status page, and with rings unless the bytes
// go through the socket (see stream.h), and a pipe that nobody writes to: its end tells the worker that the manager is
// gone. (A copy of the socket would keep the connection up when the worker closes it.)
struct LocalLink {
  UniqueFd parent_end;
  UniqueFd child_end;
  UniqueFd page_file;
  UniqueFd parent_lifeline;
  UniqueFd child_lifeline;
  SharedPage page;
  SharedRings rings;
};

// False when the system refuses; errno says why.
inline bool OpenLocalLink(LocalLink& link, bool in_memory) noexcept {
  int ends[2];
#if defined(SOCK_CLOEXEC)
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
  for (int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  link.parent_end = UniqueFd(ends[0]);
  link.child_end = UniqueFd(ends[1]);
  link.page_file = AnonymousFile(in_memory ? kRingsOffset + sizeof(Rings) : sizeof(StatusPage));
  if (!link.page_file || !OpenPipe(ends)) return false;
  link.child_lifeline = UniqueFd(ends[0]);
  link.parent_lifeline = UniqueFd(ends[1]);
  link.page = MapPage(link.page_file.get());
  return link.page != nullptr && MapRings(link.page_file.get(), link.rings);
}

}  // namespace bosun
