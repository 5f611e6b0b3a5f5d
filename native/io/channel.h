// The manager's end of one worker's stream: reads what arrives, writes what waits, and never waits itself.
//
// Who: whoever holds the turn of the driver. Cost: one copy for many frames in, one for many frames out; system calls
// only for ends that sleep, see process/stream.h.
#pragma once

#include <cstdint>
#include <span>

#include "frame/output.h"
#include "io/poller.h"
#include "process/stream.h"

namespace bosun {

// What a channel tells its driver.
class ChannelOwner {
 public:
  virtual void OnBytes(std::uint32_t connection, ByteSpan bytes) = 0;
  // Where they are to be read to instead, and that so many are there; empty for the memory of all.
  virtual std::span<std::uint8_t> Wanted(std::uint32_t connection) = 0;
  virtual void OnWanted(std::uint32_t connection, std::size_t count) = 0;
  // The other end is closed, and everything that it had sent has been read.
  virtual void OnEnd(std::uint32_t connection) = 0;
  // There is room again.
  virtual void OnRoom(std::uint32_t connection) = 0;
  // The loop has to turn before its descriptors are watched as they should be.
  virtual void OnChange() = 0;

 protected:
  ~ChannelOwner() = default;
};

class Channel {
 public:
  // `memory` is shared by all channels of a loop: it is read into, and handed on at once.
  Channel(Poller& poller, std::uint32_t connection, Stream stream, std::span<std::uint8_t> memory,
          ChannelOwner& owner) noexcept;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  std::uint32_t connection() const noexcept { return connection_; }
  bool is_open() const noexcept { return open_; }
  // Nothing can be written now; OnRoom will say when.
  bool is_full() const noexcept { return full_; }

  // Writes as much as the system takes, at most `kMaxWrite`; what is left stays in the output.
  void Write(Output& output) noexcept;
  // Reads what is there, at most `kMaxRead`. It may end the channel.
  void Read() noexcept;
  // Nothing is read, written or told from now on.
  void Stop() noexcept;

 private:
  // A worker that says, or is told, a lot at once must not keep the others waiting.
  static constexpr std::size_t kMaxWrite = 1 << 20;
  static constexpr std::size_t kMaxRead = 1 << 20;

  void Watch() noexcept;
  void OnReady(int events) noexcept;
  // The loop comes back to this channel behind the others.
  void ComeBack() noexcept;

  const std::uint32_t connection_;
  Stream stream_;
  const std::span<std::uint8_t> memory_;
  ChannelOwner& owner_;
  Poller::Watch watch_;
  bool open_ = false;
  bool full_ = false;
  bool comes_back_ = false;
  bool broken_ = false;  // nothing can be written any more, and what was sent is still to be read
};

}  // namespace bosun
