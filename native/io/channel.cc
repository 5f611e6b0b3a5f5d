#include "io/channel.h"

#include <sys/socket.h>

#include "process/send.h"

namespace bosun {

Channel::Channel(uv_loop_t* loop, std::uint32_t connection, Stream stream, std::span<std::uint8_t> memory,
                 ChannelOwner& owner) noexcept
    : connection_(connection), stream_(std::move(stream)), memory_(memory), owner_(owner), poll_(UV_POLL) {
  // The system allows what it allows: a burst should leave by few writes.
  const int room = 1 << 20;
  if (!stream_.is_in_memory()) ::setsockopt(stream_.fd(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (uv_poll_init(loop, poll_.get(), stream_.fd()) != 0) {
    poll_.Discard();
    return;
  }
  uv_handle_set_data(poll_.base(), this);
  open_ = true;
  // Nobody is woken who has not said that he sleeps.
  comes_back_ = stream_.is_in_memory();
  Watch();
}

Channel::~Channel() {
  poll_.Close();
  // libuv forgets the descriptor at once, so that it may be closed before the handle is.
  owner_.OnChange();
}

void Channel::Watch() noexcept {
  // There is always room on a socket that carries nothing but the bell: asked for, that is told at once.
  const bool wants_room = comes_back_ || (full_ && !stream_.is_in_memory());
  uv_poll_start(poll_.get(), UV_READABLE | (wants_room ? UV_WRITABLE : 0),
                [](uv_poll_t* handle, int status, int ready) {
                  auto* self = OwnerOf<Channel>(handle);
                  const bool is_readable = status < 0 || (ready & UV_READABLE) != 0;
                  if (is_readable) self->stream_.Heed();
                  const bool may_have_room = (ready & UV_WRITABLE) != 0 || self->stream_.is_in_memory();
                  if (std::exchange(self->comes_back_, false) || (self->full_ && may_have_room)) {
                    const bool was_full = std::exchange(self->full_, false);
                    self->Watch();
                    if (was_full) self->owner_.OnRoom(self->connection_);
                  }
                  // Last: it may end the channel.
                  if (is_readable || self->stream_.is_in_memory()) self->Read();
                });
  owner_.OnChange();
}

void Channel::ComeBack() noexcept {
  comes_back_ = true;
  Watch();
}

void Channel::Write(Output& output) noexcept {
  if (broken_ || !open_) {
    output.Clear();
    return;
  }
  std::size_t left = kMaxWrite;
  while (!output.empty() && !full_) {
    if (left == 0) {
      full_ = true;
      ComeBack();
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
    const ssize_t result = stream_.Send({parts, count});
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
  while (open_) {
    std::span<std::uint8_t> target = owner_.Wanted(connection_);
    const bool is_wanted = !target.empty();
    if (!is_wanted) target = memory_;
    const ssize_t length = stream_.Receive(target);
    if (length < 0) {
      owner_.OnEnd(connection_);
      return;
    }
    if (length == 0) {
      if (stream_.Rest()) return;
      continue;
    }
    const auto got = static_cast<std::size_t>(length);
    left -= std::min(left, got);
    // Of a socket the loop says so if there is more.
    const bool last = got < target.size() && !stream_.is_in_memory();
    if (is_wanted) {
      owner_.OnWanted(connection_, got);
    } else {
      owner_.OnBytes(connection_, target.first(got));
    }
    if (last) return;
    if (left > 0) continue;
    if (stream_.is_in_memory()) ComeBack();
    return;
  }
}

void Channel::Stop() noexcept {
  open_ = false;
  uv_poll_stop(poll_.get());
}

}  // namespace bosun
