// What descriptors.h, socket.h, shared_memory.h and clock.h have on Windows.
//
// Descriptors are those of the C library that Node is linked with: libuv lends them, and hands them on to a child by
// their numbers. Sockets never wait: they are made so.
#pragma once

#include <winsock2.h>  // before windows.h, which has an older one

#include <uv.h>
#include <windows.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <span>
#include <utility>

namespace bosun {

// Takes the handle over; -1 when there are no descriptors left.
inline int DescriptorOf(HANDLE handle) noexcept {
  const int fd = handle == INVALID_HANDLE_VALUE ? -1 : uv_open_osfhandle(handle);
  if (fd < 0) {
    if (handle != INVALID_HANDLE_VALUE) ::CloseHandle(handle);
    errno = EMFILE;
  }
  return fd;
}

// ---- descriptors.h ----------------------------------------------------------------

inline void CloseDescriptor(int fd) noexcept {
  if (fd < 0) return;
  // Node-API promises no layout of libuv's objects.
  auto* request = static_cast<uv_fs_t*>(std::malloc(uv_req_size(UV_FS)));
  if (request == nullptr) return;
  uv_fs_close(nullptr, request, fd, nullptr);
  uv_fs_req_cleanup(request);
  std::free(request);
}

inline int DuplicateHandleToDescriptor(HANDLE handle) noexcept {
  HANDLE copy = INVALID_HANDLE_VALUE;
  const HANDLE self = ::GetCurrentProcess();
  if (::DuplicateHandle(self, handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) == 0) {
    errno = EMFILE;
    return -1;
  }
  return DescriptorOf(copy);
}

inline int DuplicateDescriptor(int fd) noexcept { return DuplicateHandleToDescriptor(uv_get_osfhandle(fd)); }

inline bool OpenPipe(int (&ends)[2]) noexcept {
  // Node reads from it; whoever writes does as it likes.
  if (uv_pipe(ends, UV_NONBLOCK_PIPE, 0) == 0) return true;
  errno = EMFILE;
  return false;
}

inline void Widen(int) noexcept {}

// ---- socket.h -----------------------------------------------------------------------

struct iovec {
  void* iov_base;
  std::size_t iov_len;
};

using Socket = SOCKET;

class UniqueSocket {
 public:
  UniqueSocket() = default;
  explicit UniqueSocket(Socket socket) noexcept : socket_(socket) {}
  UniqueSocket(UniqueSocket&& other) noexcept : socket_(other.Release()) {}
  UniqueSocket& operator=(UniqueSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~UniqueSocket() {
    if (*this) ::closesocket(socket_);
  }
  Socket get() const noexcept { return socket_; }
  Socket Release() noexcept { return std::exchange(socket_, INVALID_SOCKET); }
  explicit operator bool() const noexcept { return socket_ != INVALID_SOCKET; }

 private:
  Socket socket_ = INVALID_SOCKET;
};

inline bool OpenSocketPair(UniqueSocket& one, UniqueSocket& other) noexcept {
  uv_os_sock_t ends[2];
  // Over the loopback device; libuv looks at the addresses, so that nobody else can come between.
  if (uv_socketpair(SOCK_STREAM, IPPROTO_TCP, ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE) != 0) {
    errno = EMFILE;
    return false;
  }
  for (const Socket end : ends) {
    const BOOL on = TRUE;
    ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof on);
  }
  one = UniqueSocket(ends[0]);
  other = UniqueSocket(ends[1]);
  return true;
}

// Another one for the same, that the socket library knows, which a handle that was inherited or duplicated it does not.
inline UniqueSocket DuplicateSocket(Socket socket) noexcept {
  WSAPROTOCOL_INFOW info;
  UniqueSocket copy;
  if (::WSADuplicateSocketW(socket, ::GetCurrentProcessId(), &info) == 0) {
    copy = UniqueSocket(::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                                     WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
  }
  u_long on = 1;
  if (!copy || ::ioctlsocket(copy.get(), FIONBIO, &on) != 0) {
    errno = EMFILE;
    return {};
  }
  return copy;
}

inline int ToDescriptor(UniqueSocket socket) noexcept {
  return DuplicateHandleToDescriptor(reinterpret_cast<HANDLE>(socket.get()));
}

inline UniqueSocket ToSocket(int fd) noexcept {
  UniqueSocket socket = DuplicateSocket(reinterpret_cast<Socket>(uv_get_osfhandle(fd)));
  CloseDescriptor(fd);
  return socket;
}

inline bool IsOnlyBusy() noexcept {
  const int error = ::WSAGetLastError();
  return error == WSAEWOULDBLOCK || error == WSAEINTR;
}

inline std::ptrdiff_t SendSome(Socket socket, std::span<iovec> parts) noexcept {
  constexpr std::size_t kParts = 64;
  WSABUF buffers[kParts];
  std::size_t count = 0;
  for (const iovec& part : parts.first(std::min(parts.size(), kParts))) {
    if (part.iov_len > 0) buffers[count++] = {static_cast<ULONG>(part.iov_len), static_cast<CHAR*>(part.iov_base)};
  }
  DWORD sent = 0;
  if (::WSASend(socket, buffers, static_cast<DWORD>(count), &sent, 0, nullptr, nullptr) == 0) return sent;
  return IsOnlyBusy() ? 0 : -1;
}

inline std::ptrdiff_t ReceiveSome(Socket socket, std::span<std::uint8_t> target) noexcept {
  const int got = ::recv(socket, reinterpret_cast<char*>(target.data()), static_cast<int>(target.size()), 0);
  if (got > 0) return got;
  return got < 0 && IsOnlyBusy() ? 0 : -1;
}

inline bool AwaitSocket(Socket socket, bool for_room, int patience_ms) noexcept {
  WSAPOLLFD awaited{socket, static_cast<SHORT>(for_room ? POLLWRNORM : POLLRDNORM), 0};
  return ::WSAPoll(&awaited, 1, patience_ms) != 0;
}

inline void EndSocket(Socket socket) noexcept { ::shutdown(socket, SD_SEND); }

inline void WidenSocket(Socket socket) noexcept {
  const int room = 1 << 20;
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, reinterpret_cast<const char*>(&room), sizeof room);
}

// ---- shared_memory.h ----------------------------------------------------------------

// In the folder for temporary files, under a name that cannot be guessed; the system removes it behind its last user.
inline int OpenTemporaryFile(std::size_t bytes) noexcept {
  wchar_t path[MAX_PATH + 64];
  const DWORD length = ::GetTempPathW(MAX_PATH, path);
  std::uint64_t random[2];
  if (length == 0 || length > MAX_PATH || uv_random(nullptr, nullptr, random, sizeof random, 0, nullptr) != 0) {
    errno = ENOENT;
    return -1;
  }
  wchar_t* at = path + length;
  for (const wchar_t letter : {L'b', L'o', L's', L'u', L'n', L'-'}) *at++ = letter;
  for (const std::uint64_t part : random) {
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = L"0123456789abcdef"[part >> shift & 15];
  }
  *at = 0;
  const HANDLE file = ::CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_DELETE, nullptr, CREATE_NEW,
                                    FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
  LARGE_INTEGER size;
  size.QuadPart = static_cast<LONGLONG>(bytes);
  if (file != INVALID_HANDLE_VALUE &&
      (::SetFilePointerEx(file, size, nullptr, FILE_BEGIN) == 0 || ::SetEndOfFile(file) == 0)) {
    ::CloseHandle(file);
    errno = ENOSPC;
    return -1;
  }
  return DescriptorOf(file);
}

inline std::int64_t SizeOfFile(int fd) noexcept {
  LARGE_INTEGER size;
  if (::GetFileSizeEx(uv_get_osfhandle(fd), &size) != 0) return size.QuadPart;
  errno = EBADF;
  return -1;
}

inline void* MapMemory(int fd, std::size_t offset, std::size_t bytes) noexcept {
  void* memory = nullptr;
  if (const HANDLE mapping = ::CreateFileMappingW(uv_get_osfhandle(fd), nullptr, PAGE_READWRITE, 0, 0, nullptr)) {
    memory = ::MapViewOfFile(mapping, FILE_MAP_READ | FILE_MAP_WRITE, 0, static_cast<DWORD>(offset), bytes);
    // What is mapped stays.
    ::CloseHandle(mapping);
  }
  if (memory == nullptr) errno = ENOMEM;
  return memory;
}

inline void UnmapMemory(void* memory, std::size_t) noexcept { ::UnmapViewOfFile(memory); }

// ---- leftovers.h --------------------------------------------------------------------

// A file, or a folder with nothing in it: bosun makes no others on Windows.
inline void RemovePath(const char* path) noexcept {
  wchar_t wide[MAX_PATH];
  if (::MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, MAX_PATH) == 0) return;
  if (::DeleteFileW(wide) == 0) ::RemoveDirectoryW(wide);
}

// ---- clock.h --------------------------------------------------------------------------

inline std::uint64_t NowUs() noexcept {
  LARGE_INTEGER frequency, now;
  ::QueryPerformanceFrequency(&frequency);
  ::QueryPerformanceCounter(&now);
  const auto ticks = static_cast<std::uint64_t>(now.QuadPart);
  const auto second = static_cast<std::uint64_t>(frequency.QuadPart);
  return ticks / second * 1'000'000 + ticks % second * 1'000'000 / second;
}

}  // namespace bosun
