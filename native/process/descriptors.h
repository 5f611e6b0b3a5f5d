// Opening descriptors that Node knows nothing of. POSIX only.
#pragma once

#include <fcntl.h>
#include <unistd.h>

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

}  // namespace bosun
