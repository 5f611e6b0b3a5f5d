// Opening descriptors that Node knows nothing of, and closing them.
//
// A descriptor is a number, and what a child inherits. On Windows it is one of the C library that Node is linked with,
// which libuv lends: the addon has a C library of its own, with numbers of its own.
#pragma once

#if defined(_WIN32)
#include "process/windows.h"
#else
#include <fcntl.h>
#include <unistd.h>
#endif

#include <utility>

namespace bosun {

#if !defined(_WIN32)

inline void CloseDescriptor(int fd) noexcept { ::close(fd); }

// Another one for the same, not inherited; -1 when the system refuses, and errno says why.
inline int DuplicateDescriptor(int fd) noexcept { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); }

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

#endif

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
    if (fd_ >= 0) CloseDescriptor(fd_);
  }
  int get() const noexcept { return fd_; }
  int Release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace bosun
