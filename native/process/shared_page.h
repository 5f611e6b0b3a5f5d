// The memory that a manager shares with a local worker, and the descriptors that a child inherits.
//
// Who: the manager's thread makes them, a worker maps its page once. Nothing here is on a hot path.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "process/byte_ring.h"
#include "process/descriptors.h"
#include "process/shared_memory.h"
#include "process/socket.h"
#include "process/status_page.h"

namespace bosun {

template <class T>
struct Unmap {
  void operator()(T* memory) const noexcept { UnmapMemory(memory, sizeof(T)); }
};
using SharedPage = std::unique_ptr<StatusPage, Unmap<StatusPage>>;

// Null when the descriptor is no page of ours; errno says why.
inline SharedPage MapPage(int fd) noexcept {
  // The pages of a new file are zero, which is the state of a fresh StatusPage; nothing has to be constructed.
  return SharedPage(static_cast<StatusPage*>(MapMemory(fd, 0, sizeof(StatusPage))));
}

// Behind the page, in the same file: what the two say to each other.
struct Rings {
  ByteRing to_worker;
  ByteRing to_manager;
};
inline constexpr std::size_t kRingsOffset = kMapStep;
static_assert(sizeof(StatusPage) <= kRingsOffset);

using SharedRings = std::unique_ptr<Rings, Unmap<Rings>>;

// False when the system refuses; errno says why. Null for a file that has none.
inline bool MapRings(int fd, SharedRings& rings) noexcept {
  const std::int64_t size = SizeOfFile(fd);
  if (size < 0) return false;
  if (static_cast<std::uint64_t>(size) < kRingsOffset + sizeof(Rings)) return true;
  // Zero, as the page.
  rings.reset(static_cast<Rings*>(MapMemory(fd, kRingsOffset, sizeof(Rings))));
  return rings != nullptr;
}

// What joins a manager with a local worker: a stream socket, a file with a status page, and with rings unless the bytes
// go through the socket (see stream.h), and a pipe that nobody writes to: its end tells the worker that the manager is
// gone. (A copy of the socket would keep the connection up when the worker closes it.)
struct LocalLink {
  UniqueSocket parent_end;
  UniqueFd child_end;
  UniqueFd page_file;
  UniqueFd parent_lifeline;
  UniqueFd child_lifeline;
  SharedPage page;
  SharedRings rings;
};

// False when the system refuses; errno says why.
inline bool OpenLocalLink(LocalLink& link, bool in_memory) noexcept {
  UniqueSocket child_end;
  if (!OpenSocketPair(link.parent_end, child_end)) return false;
  link.child_end = UniqueFd(ToDescriptor(std::move(child_end)));
  link.page_file = AnonymousFile(in_memory ? kRingsOffset + sizeof(Rings) : sizeof(StatusPage));
  int ends[2];
  if (!link.child_end || !link.page_file || !OpenPipe(ends)) return false;
  link.child_lifeline = UniqueFd(ends[0]);
  link.parent_lifeline = UniqueFd(ends[1]);
  link.page = MapPage(link.page_file.get());
  return link.page != nullptr && MapRings(link.page_file.get(), link.rings);
}

}  // namespace bosun
