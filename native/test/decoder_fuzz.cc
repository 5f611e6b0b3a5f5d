// Any bytes, cut anywhere: the frames are those of a plain reading of the same bytes, and nothing else happens.

#include <cstdint>
#include <cstring>

#include "check.h"
#include "frame/decoder.h"

namespace {

constexpr std::uint64_t kMaxBody = 4096;

// Kept, so that the optimiser cannot drop the decoder.
volatile std::uint64_t checksum;

struct Digest {
  std::uint64_t frames = 0;
  std::uint64_t sum = 0;
  void Add(std::uint8_t type, bosun::ByteSpan body) {
    ++frames;
    sum = sum * 31 + type;
    for (const std::uint8_t byte : body) sum = sum * 31 + byte;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The first byte says how the rest is cut.
  const std::size_t step = 1 + data[0] % 32;
  const bosun::ByteSpan stream(data + 1, size - 1);

  Digest expected;
  bool too_large = false;
  bosun::ByteSpan rest = stream;
  while (rest.size() >= bosun::kHeaderBytes) {
    const std::uint64_t length = bosun::Load<std::uint64_t>(rest.data() + 1);
    too_large = length > kMaxBody;
    if (too_large || length > rest.size() - bosun::kHeaderBytes) break;
    expected.Add(rest[0], rest.subspan(bosun::kHeaderBytes, length));
    rest = rest.subspan(bosun::kHeaderBytes + length);
  }

  Digest seen;
  bosun::FrameDecoder decoder(kMaxBody);
  bosun::DecodeResult result = bosun::DecodeResult::kOk;
  for (std::size_t at = 0; at < stream.size() && result == bosun::DecodeResult::kOk; at += step) {
    result = decoder.Push(stream.subspan(at, std::min(step, stream.size() - at)),
                          [&](std::uint8_t type, bosun::ByteSpan body) {
                            seen.Add(type, body);
                            return true;
                          });
  }
  CHECK_EQ(seen.frames, expected.frames);
  CHECK_EQ(seen.sum, expected.sum);
  CHECK_EQ(result == bosun::DecodeResult::kTooLarge, too_large);
  if (!too_large) CHECK_EQ(decoder.AtBoundary(), rest.empty());
  checksum = seen.sum;
  return 0;
}
