// One end of the stream of bytes between a manager and a local worker. It never waits.
//
// The bytes go through two rings of shared memory, if there are any, and the socket is only the bell: a byte on it
// wakes an end that sleeps, its end is the end of the stream. As long as both ends are awake no system call is made.
// Without rings the bytes go through the socket.
//
// Who: one thread receives, one at a time sends; the two may be different ones.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "process/byte_ring.h"
#include "process/shared_page.h"
#include "process/socket.h"

namespace bosun {

class Stream {
 public:
  enum class End : std::uint8_t { kManager, kWorker };

  // A connected stream socket; all bytes go through it.
  explicit Stream(UniqueSocket socket) noexcept : socket_(std::move(socket)) {}
  // As it, when `rings` is null.
  Stream(UniqueSocket socket, SharedRings rings, End end) noexcept;
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) = delete;
  ~Stream() = default;

  // To be polled for readability; when it is readable, Heed comes first.
  Socket socket() const noexcept { return socket_.get(); }
  // Readability says that there is room, too; without it, the descriptor is writable then.
  bool is_in_memory() const noexcept { return reader_.has_value(); }

  void Heed() noexcept;

  // What is there, as much as fits: the bytes; 0: nothing; -1: nothing, nor will there be.
  ssize_t Receive(std::span<std::uint8_t> target) noexcept;
  // To be called before socket() is waited for. False when there is something to receive, and socket() does not say so.
  bool Rest() noexcept { return !reader_ || reader_->Sleep(); }

  // The bytes that have been taken; when it is not all, socket() will say when there is room. -1: the other end is
  // gone.
  ssize_t Send(std::span<iovec> parts) noexcept;
  // Of the thread that receives: waits until there may be room; false when there is none for so long, or never.
  bool AwaitRoom(int patience_ms) noexcept;

 private:
  // False when nobody is there.
  bool RingBell() noexcept;
  bool Write(std::span<const iovec> parts, std::size_t& total) noexcept;

  UniqueSocket socket_;
  SharedRings rings_;
  std::optional<RingReader> reader_;
  std::optional<RingWriter> writer_;
  bool is_ended_ = false;
};

}  // namespace bosun
