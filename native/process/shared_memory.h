// Memory that several processes map: a file without a name, known by its descriptor.
//
// Who: made and mapped once per worker; nothing here is on a hot path.
#pragma once

#if defined(_WIN32)
#include "process/windows.h"
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(__linux__)
#include <cstdlib>
#endif
#endif

#include <cstddef>
#include <cstdint>

#include "process/descriptors.h"

namespace bosun {

// All zero, and close-on-exec from its creation, so that no other child can inherit it. errno says why there is none.
inline UniqueFd AnonymousFile(std::size_t bytes) noexcept {
#if defined(_WIN32)
  return UniqueFd(OpenTemporaryFile(bytes));
#else
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
#endif
}

#if !defined(_WIN32)

// -1 when it is no file; errno says why, as below.
inline std::int64_t SizeOfFile(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) != 0 ? -1 : static_cast<std::int64_t>(status.st_size);
}

// Null when the system refuses. The offset is a multiple of kMapStep.
inline void* MapMemory(int fd, std::size_t offset, std::size_t bytes) noexcept {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  return memory == MAP_FAILED ? nullptr : memory;
}

inline void UnmapMemory(void* memory, std::size_t bytes) noexcept { ::munmap(memory, bytes); }

#endif

// Systems map from a multiple of their pages on; none has larger ones.
inline constexpr std::size_t kMapStep = 64 << 10;

}  // namespace bosun
