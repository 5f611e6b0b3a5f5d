// The stream between a manager and a worker: bytes in order and all of them, whoever sleeps is woken, and what becomes
// of it when an end goes away or lies.

#include "process/stream.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "process/socket.h"

namespace {

using bosun::ByteRing;
using bosun::ByteSpan;
using bosun::LocalLink;
using bosun::RingReader;
using bosun::RingWriter;
using bosun::SharedRings;
using bosun::Stream;

// Both ends of a worker's stream, as a manager and a worker of this process have them.
struct Ends {
  explicit Ends(bool in_memory) {
    CHECK(OpenLocalLink(link, in_memory));
    SharedRings childs;
    CHECK(MapRings(link.page_file.get(), childs));
    CHECK_EQ(childs != nullptr, in_memory);
    // What a hostile worker would write to.
    raw = childs.get();
    manager = std::make_unique<Stream>(std::move(link.parent_end), std::move(link.rings), Stream::End::kManager);
    worker = std::make_unique<Stream>(std::move(link.child_end), std::move(childs), Stream::End::kWorker);
  }

  LocalLink link;
  bosun::Rings* raw;
  std::unique_ptr<Stream> manager;
  std::unique_ptr<Stream> worker;
};

bool IsReadable(const Stream& stream, int patience_ms = 0) {
  pollfd watched{stream.socket(), POLLIN, 0};
  return ::poll(&watched, 1, patience_ms) > 0;
}

std::size_t SendAll(Stream& stream, ByteSpan bytes) {
  iovec parts[] = {bosun::PartOf(bytes)};
  const ssize_t sent = stream.Send(parts);
  CHECK(sent >= 0);
  return static_cast<std::size_t>(sent);
}

TEST(NoBellForWhoIsAwake) {
  Ends ends(true);
  const std::vector<std::uint8_t> bytes(100, 7);
  CHECK_EQ(SendAll(*ends.manager, bytes), 100u);
  CHECK(!IsReadable(*ends.worker));
  std::uint8_t target[256];
  CHECK_EQ(ends.worker->Receive(target), 100);
  CHECK_EQ(ends.worker->Receive(target), 0);
  CHECK(ends.worker->Rest());
  // Asleep from here on, however often it says so.
  CHECK(ends.worker->Rest());
  CHECK_EQ(SendAll(*ends.manager, bytes), 100u);
  CHECK(IsReadable(*ends.worker));
  ends.worker->Heed();
  // Woken once.
  CHECK(!IsReadable(*ends.worker));
  CHECK_EQ(SendAll(*ends.manager, bytes), 100u);
  CHECK(!IsReadable(*ends.worker));
  // It cannot sleep on what is there.
  CHECK(!ends.worker->Rest());
  CHECK_EQ(ends.worker->Receive(target), 200);
}

TEST(AFullRingSaysWhenThereIsRoom) {
  Ends ends(true);
  const std::vector<std::uint8_t> bytes(ByteRing::kBytes + 1000, 1);
  CHECK_EQ(SendAll(*ends.worker, bytes), ByteRing::kBytes);
  CHECK_EQ(SendAll(*ends.worker, ByteSpan(bytes).first(1)), 0u);
  std::vector<std::uint8_t> target(ByteRing::kBytes / 2 - 1);
  CHECK_EQ(ends.manager->Receive(target), static_cast<ssize_t>(target.size()));
  // For a little room nobody is woken.
  CHECK(!IsReadable(*ends.worker));
  CHECK_EQ(ends.manager->Receive(std::span(target).first(1)), 1);
  CHECK(IsReadable(*ends.worker));
  ends.worker->Heed();
  CHECK_EQ(SendAll(*ends.worker, ByteSpan(bytes).first(1000)), 1000u);
}

TEST(WhatWasSentBeforeTheEndIsThere) {
  for (const bool in_memory : {true, false}) {
    Ends ends(in_memory);
    const std::vector<std::uint8_t> bytes(1000, 3);
    CHECK_EQ(SendAll(*ends.worker, bytes), 1000u);
    ends.worker.reset();
    CHECK(IsReadable(*ends.manager));
    ends.manager->Heed();
    std::uint8_t target[4096];
    CHECK_EQ(ends.manager->Receive(target), 1000);
    CHECK_EQ(ends.manager->Receive(target), -1);
    CHECK_EQ(ends.manager->Receive(target), -1);
  }
}

TEST(NobodyWaitsForAnEndThatIsGone) {
  Ends ends(true);
  const std::vector<std::uint8_t> bytes(2 * ByteRing::kBytes, 3);
  CHECK_EQ(SendAll(*ends.worker, bytes), ByteRing::kBytes);
  ends.manager.reset();
  CHECK(!ends.worker->AwaitRoom(-1));
  Ends silent(true);
  CHECK_EQ(SendAll(*silent.worker, bytes), ByteRing::kBytes);
  CHECK(!silent.worker->AwaitRoom(1));
}

TEST(AWorkerThatLies) {
  // More than fits: the end of the stream, and no byte of it is believed.
  std::uint8_t target[64];
  Ends ends(true);
  ends.raw->to_manager.written.store(ByteRing::kBytes + 1);
  CHECK_EQ(ends.manager->Receive(target), -1);
  Ends backwards(true);
  backwards.raw->to_manager.written.store(~std::uint64_t{0});
  CHECK_EQ(backwards.manager->Receive(target), -1);
  // It has read what was never sent: there is no room for it.
  Ends ahead(true);
  ahead.raw->to_worker.read.store(1 << 30);
  const std::vector<std::uint8_t> bytes(ByteRing::kBytes, 3);
  while (SendAll(*ahead.manager, bytes) > 0) {
  }
  CHECK(!ahead.manager->AwaitRoom(0));
}

// A thread that sends `total` bytes in pieces of any length, and one that takes them likewise, each asleep when it has
// nothing to do.
void Pass(Stream& from, Stream& to, std::size_t total, std::uint64_t seed) {
  std::thread sender([&] {
    std::mt19937_64 random(seed);
    std::vector<std::uint8_t> bytes(300'000);
    for (std::size_t sent = 0; sent < total;) {
      const std::size_t count = std::min<std::size_t>(total - sent, 1 + random() % (random() % 8 == 0 ? 300'000 : 300));
      for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>((sent + i) * 31);
      std::size_t taken = 0;
      while (taken < count) {
        taken += SendAll(from, ByteSpan(bytes).subspan(taken, count - taken));
        if (taken < count) CHECK(from.AwaitRoom(60'000));
      }
      sent += count;
    }
  });
  std::mt19937_64 random(seed + 1);
  std::vector<std::uint8_t> target(200'000);
  for (std::size_t got = 0; got < total;) {
    const std::size_t want = 1 + random() % (random() % 8 == 0 ? 200'000 : 500);
    const ssize_t count = to.Receive(std::span(target).first(want));
    CHECK(count >= 0);
    for (ssize_t i = 0; i < count; ++i) CHECK_EQ(target[i], static_cast<std::uint8_t>((got + i) * 31));
    got += static_cast<std::size_t>(count);
    if (count > 0 || !to.Rest()) continue;
    CHECK(IsReadable(to, 60'000));
    to.Heed();
  }
  sender.join();
}

TEST(AllBytesInOrderHoweverTheyAreCut) {
  for (const bool in_memory : {true, false}) {
    Ends ends(in_memory);
    const std::uint64_t seed = bosun::test::NewSeed();
    Pass(*ends.worker, *ends.manager, bosun::test::Scaled(20'000'000), seed);
    Pass(*ends.manager, *ends.worker, bosun::test::Scaled(20'000'000), seed);
  }
}

// The same ring under both ends, so that a race is seen for what it is: as two mappings have two addresses.
TEST(ARingBetweenTwoThreads) {
  const auto ring = std::make_unique<ByteRing>();
  const std::uint64_t total = bosun::test::Scaled(5'000'000);
  std::thread sender([&] {
    RingWriter writer(ring.get());
    std::uint8_t bytes[777];
    for (std::uint64_t sent = 0; sent < total;) {
      const std::size_t count = std::min<std::uint64_t>(sizeof bytes, total - sent);
      for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>((sent + i) * 7);
      sent += writer.Write({bytes, count});
      if (writer.Publish()) ring->reader_sleeps.notify_one();
      while (sent < total && sent - ring->read.load() == ByteRing::kBytes && writer.Sleep()) {
        ring->writer_sleeps.wait(1);
      }
    }
  });
  RingReader reader(ring.get());
  std::uint8_t target[1000];
  for (std::uint64_t got = 0; got < total;) {
    const std::size_t count = reader.Read(target);
    for (std::size_t i = 0; i < count; ++i) CHECK_EQ(target[i], static_cast<std::uint8_t>((got + i) * 7));
    got += count;
    if (count > 0 && reader.IsWriterToBeWoken()) ring->writer_sleeps.notify_one();
    if (count == 0 && reader.Sleep()) ring->reader_sleeps.wait(1);
  }
  sender.join();
}

}  // namespace

int main() {
  // As in Node.
  ::signal(SIGPIPE, SIG_IGN);
  return bosun::test::RunAll();
}
