// The codec: bytes in, frames out, cut anywhere.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "frame/decoder.h"
#include "frame/frame.h"

namespace {

using bosun::Bytes;
using bosun::ByteSpan;
using bosun::DecodeResult;
using bosun::FrameDecoder;

struct Decoded {
  std::uint8_t type;
  std::vector<std::uint8_t> body;
  bool operator==(const Decoded&) const = default;
};

void Append(Bytes& out, const Decoded& frame) {
  std::uint8_t* body = bosun::AppendFrame(out, frame.type, frame.body.size());
  std::copy(frame.body.begin(), frame.body.end(), body);
}

// Feeds `stream` in pieces of at most `step` bytes, or of random sizes for 0.
std::vector<Decoded> Decode(ByteSpan stream, std::size_t step, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  FrameDecoder decoder(1 << 20);
  std::vector<Decoded> frames;
  while (!stream.empty()) {
    const std::size_t take = std::min<std::size_t>(stream.size(), step > 0 ? step : 1 + random() % 40);
    // A copy of its own, so that a decoder that keeps a pointer into it is caught by AddressSanitizer.
    const std::vector<std::uint8_t> piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(take));
    const DecodeResult result = decoder.Push(piece, [&](std::uint8_t type, ByteSpan body) {
      frames.push_back({type, {body.begin(), body.end()}});
      return true;
    });
    CHECK(result == DecodeResult::kOk);
    stream = stream.subspan(take);
  }
  CHECK(decoder.AtBoundary());
  return frames;
}

TEST(EncodesTheHeaderByteForByte) {
  Bytes out;
  Append(out, {0x74, {}});
  Append(out, {0x6d, {1, 2, 3}});
  const std::uint8_t expected[] = {0x74, 0, 0, 0, 0, 0, 0, 0, 0, 0x6d, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3};
  CHECK_EQ(out.size(), sizeof expected);
  CHECK_EQ(std::memcmp(out.data(), expected, sizeof expected), 0);
}

TEST(GivesTheSameFramesHoweverTheBytesAreCut) {
  std::vector<Decoded> frames;
  std::mt19937_64 random(7);
  for (int i = 0; i < 60; ++i) {
    Decoded frame{static_cast<std::uint8_t>(random()),
                  std::vector<std::uint8_t>(random() % 4 == 0 ? 0 : random() % 90)};
    for (std::uint8_t& byte : frame.body) byte = static_cast<std::uint8_t>(random());
    frames.push_back(frame);
  }
  Bytes stream;
  for (const Decoded& frame : frames) Append(stream, frame);
  for (const std::size_t step : {1, 2, 3, 8, 9, 10, 17, 64, 1000, 100000}) CHECK(Decode(stream.span(), step) == frames);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) CHECK(Decode(stream.span(), 0, seed) == frames);
}

TEST(DeliversAnEmptyFrameWithTheLastByteOfItsHeader) {
  Bytes stream;
  Append(stream, {'n', {}});
  FrameDecoder decoder(16);
  int seen = 0;
  auto sink = [&](std::uint8_t type, ByteSpan body) {
    CHECK_EQ(type, 'n');
    CHECK(body.empty());
    ++seen;
    return true;
  };
  CHECK(decoder.Push(stream.span().first(8), sink) == DecodeResult::kOk);
  CHECK_EQ(seen, 0);
  CHECK(!decoder.AtBoundary());
  CHECK(decoder.Push(stream.span().last(1), sink) == DecodeResult::kOk);
  CHECK_EQ(seen, 1);
  CHECK(decoder.AtBoundary());
}

TEST(AcceptsTheLimitAndRefusesOneMore) {
  for (const std::uint64_t length : {std::uint64_t{100}, std::uint64_t{101}, ~std::uint64_t{0}}) {
    std::uint8_t header[bosun::kHeaderBytes] = {'m'};
    bosun::Store(header + 1, length);
    FrameDecoder decoder(100);
    const DecodeResult result = decoder.Push(header, [](std::uint8_t, ByteSpan) { return true; });
    CHECK(result == (length == 100 ? DecodeResult::kOk : DecodeResult::kTooLarge));
    CHECK_EQ(decoder.declared(), length);
  }
}

TEST(StopsAtAFrameThatIsRefused) {
  Bytes stream;
  for (const std::uint8_t type : {'a', 'b', 'c'}) Append(stream, {type, {1}});
  FrameDecoder decoder(100);
  std::string seen;
  const DecodeResult result = decoder.Push(stream.span(), [&](std::uint8_t type, ByteSpan) {
    seen += static_cast<char>(type);
    return type != 'b';
  });
  CHECK(result == DecodeResult::kRefused);
  CHECK_EQ(seen, "ab");
}

TEST(ADeclaredLengthAllocatesNothing) {
  // 2^40 bytes are declared and legal; only what arrives may be allocated, or this ends for want of memory.
  std::uint8_t header[bosun::kHeaderBytes + 10] = {'m'};
  bosun::Store(header + 1, std::uint64_t{1} << 40);
  FrameDecoder decoder(std::uint64_t{1} << 41);
  CHECK(decoder.Push(header, [](std::uint8_t, ByteSpan) { return true; }) == DecodeResult::kOk);
  CHECK(!decoder.AtBoundary());
}

// As a receiver does that asks where the bytes are wanted: `step` at most at a time.
std::vector<Decoded> DecodeWanted(ByteSpan stream, std::size_t step, bool takes_bodies) {
  FrameDecoder decoder(64 << 20);
  std::vector<Decoded> frames;
  const auto sink = [&](std::uint8_t type, ByteSpan body) {
    Bytes own = takes_bodies ? decoder.TakeBody() : Bytes();
    if (!own.empty()) CHECK(own.data() == body.data() && own.size() == body.size());
    frames.push_back({type, {body.begin(), body.end()}});
    return true;
  };
  std::size_t arrived = 0;  // of the body that is on its way
  while (!stream.empty()) {
    const std::span<std::uint8_t> wanted = decoder.Wanted();
    const std::size_t room = wanted.empty() ? step : std::min(step, wanted.size());
    const std::vector<std::uint8_t> piece(stream.begin(),
                                          stream.begin() + static_cast<std::ptrdiff_t>(std::min(room, stream.size())));
    if (wanted.empty()) {
      CHECK(decoder.Push(piece, sink) == DecodeResult::kOk);
      arrived = piece.size();
    } else {
      // Memory grows with what has arrived.
      CHECK(wanted.size() <= std::max<std::size_t>(256 << 10, arrived));
      std::memcpy(wanted.data(), piece.data(), piece.size());
      CHECK(decoder.Filled(piece.size(), sink) == DecodeResult::kOk);
      arrived += piece.size();
    }
    stream = stream.subspan(piece.size());
  }
  CHECK(decoder.AtBoundary());
  CHECK(decoder.Wanted().empty());
  return frames;
}

TEST(ReceivesLargeBodiesIntoTheirOwnMemory) {
  std::vector<Decoded> frames;
  std::mt19937_64 random(11);
  for (const std::size_t length : {0, 10, 65'535, 65'536, 65'537, 0, 300'000, 1'500'000, 3, 262'144}) {
    frames.push_back({static_cast<std::uint8_t>(random()), std::vector<std::uint8_t>(length)});
    for (std::uint8_t& byte : frames.back().body) byte = static_cast<std::uint8_t>(random());
  }
  Bytes stream;
  for (const Decoded& frame : frames) Append(stream, frame);
  for (const std::size_t step : {9000u, 65536u, 1u << 24}) {
    for (const bool takes_bodies : {false, true}) CHECK(DecodeWanted(stream.span(), step, takes_bodies) == frames);
  }
}

TEST(WantsNothingForSmallBodiesAndLittleForThoseThatAreOnlyDeclared) {
  std::uint8_t header[bosun::kHeaderBytes] = {'m'};
  const auto sink = [](std::uint8_t, ByteSpan) { return true; };
  bosun::Store(header + 1, std::uint64_t{FrameDecoder::kLargeBody - 1});
  FrameDecoder small(1 << 20);
  CHECK(small.Wanted().empty());
  CHECK(small.Push(header, sink) == DecodeResult::kOk);
  CHECK(small.Wanted().empty());
  bosun::Store(header + 1, std::uint64_t{1} << 40);
  FrameDecoder large(std::uint64_t{1} << 41);
  CHECK(large.Push(ByteSpan(header).first(5), sink) == DecodeResult::kOk);
  CHECK(large.Wanted().empty());
  CHECK(large.Push(ByteSpan(header).subspan(5), sink) == DecodeResult::kOk);
  CHECK_EQ(large.Wanted().size(), std::size_t{256} << 10);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
