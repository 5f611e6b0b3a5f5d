#include "io/channel.h"

#include <sys/socket.h>

#include <cerrno>

#include "process/send.h"

namespace bosun {

Channel::Channel(uv_loop_t* loop, std::uint32_t connection, UniqueFd socket, std::span<std::uint8_t> memory,
                 ChannelOwner& owner) noexcept
    : connection_(connection), socket_(std::move(socket)), memory_(memory), owner_(owner), poll_(UV_POLL) {
  // The system allows what it allows: a burst should leave by few writes.
  const int room = 1 << 20;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (uv_poll_init(loop, poll_.get(), socket_.get()) != 0) {
    poll_.Discard();
    return;
  }
  uv_handle_set_data(poll_.base(), this);
  open_ = true;
  Watch();
}

Channel::~Channel() {
  poll_.Close();
  // libuv forgets the descriptor at once, so that it may be closed before the handle is.
  owner_.OnChange();
}

void Channel::Watch() noexcept {
  const int events = UV_READABLE | (full_ ? UV_WRITABLE : 0);
  uv_poll_start(poll_.get(), events, [](uv_poll_t* handle, int status, int ready) {
    auto* self = OwnerOf<Channel>(handle);
    if ((ready & UV_WRITABLE) != 0 && self->full_) {
      self->full_ = false;
      self->Watch();
      self->owner_.OnRoom(self->connection_);
    }
    // Last: it may end the channel.
    if (status < 0 || (ready & UV_READABLE) != 0) self->Read();
  });
  owner_.OnChange();
}

void Channel::Write(Output& output) noexcept {
  if (broken_ || !open_) {
    output.Clear();
    return;
  }
  std::size_t left = kMaxWrite;
  while (!output.empty() && !full_) {
    if (left == 0) {
      // The loop comes back to it behind the others.
      full_ = true;
      Watch();
      return;
    }
    constexpr std::size_t kParts = 64;
    iovec parts[kParts];
    std::size_t count = 0;
    std::size_t offered = 0;
    output.Visit([&](ByteSpan bytes) {
      const std::size_t length = std::min(bytes.size(), left - offered);
      parts[count++] = PartOf(bytes.first(length));
      offered += length;
      return count < kParts && offered < left;
    });
    const ssize_t result = SendSome(socket_.get(), {parts, count});
    if (result < 0) {
      broken_ = true;
      output.Clear();
      return;
    }
    const auto written = static_cast<std::size_t>(result);
    output.Consume(written);
    left -= written;
    if (written == offered) continue;
    full_ = true;
    Watch();
  }
}

void Channel::Read() noexcept {
  std::size_t left = kMaxRead;
  while (open_ && left > 0) {
    std::span<std::uint8_t> target = owner_.Wanted(connection_);
    const bool is_wanted = !target.empty();
    if (!is_wanted) target = memory_;
    const ssize_t length = ::recv(socket_.get(), target.data(), target.size(), MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (length <= 0) {
      owner_.OnEnd(connection_);
      return;
    }
    const auto got = static_cast<std::size_t>(length);
    left -= std::min(left, got);
    const bool last = got < target.size();
    if (is_wanted) {
      owner_.OnWanted(connection_, got);
    } else {
      owner_.OnBytes(connection_, target.first(got));
    }
    // The loop says so if there is more.
    if (last) return;
  }
}

void Channel::Stop() noexcept {
  open_ = false;
  uv_poll_stop(poll_.get());
}

}  // namespace bosun
