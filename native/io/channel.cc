#include "io/channel.h"

#include <utility>

#include "process/socket.h"

namespace bosun {

Channel::Channel(Poller& poller, std::uint32_t connection, Stream stream, std::span<std::uint8_t> memory,
                 ChannelOwner& owner) noexcept
    : connection_(connection), stream_(std::move(stream)), memory_(memory), owner_(owner) {
  if (!stream_.is_in_memory()) WidenSocket(stream_.socket());
  const auto on_ready = [](void* self, int events) { static_cast<Channel*>(self)->OnReady(events); };
  if (!watch_.Open(poller, stream_.socket(), on_ready, this)) return;
  open_ = true;
  // Nobody is woken who has not said that he sleeps.
  comes_back_ = stream_.is_in_memory();
  Watch();
}

Channel::~Channel() { owner_.OnChange(); }

void Channel::Watch() noexcept {
  // There is always room on a socket that carries nothing but the bell: asked for, that is told at once.
  const bool wants_room = comes_back_ || (full_ && !stream_.is_in_memory());
  watch_.Await(Poller::kReadable | (wants_room ? Poller::kWritable : 0));
  owner_.OnChange();
}

void Channel::OnReady(int events) noexcept {
  const bool is_readable = (events & Poller::kReadable) != 0;
  if (is_readable) stream_.Heed();
  const bool may_have_room = (events & Poller::kWritable) != 0 || stream_.is_in_memory();
  if (std::exchange(comes_back_, false) || (full_ && may_have_room)) {
    const bool was_full = std::exchange(full_, false);
    Watch();
    if (was_full) owner_.OnRoom(connection_);
  }
  // Last: it may end the channel.
  if (is_readable || stream_.is_in_memory()) Read();
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
  watch_.Stop();
}

}  // namespace bosun
