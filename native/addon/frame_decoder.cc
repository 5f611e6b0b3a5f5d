// class FrameDecoder for JavaScript: conversion only, see frame/decoder.h.

#include "frame/decoder.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

class FrameDecoderWrap : public Napi::ObjectWrap<FrameDecoderWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "FrameDecoder",
                       {
                           InstanceMethod<&FrameDecoderWrap::Push>("push"),
                           InstanceMethod<&FrameDecoderWrap::TakeAssembled>("takeAssembled"),
                           InstanceMethod<&FrameDecoderWrap::Declared>("declared"),
                           InstanceMethod<&FrameDecoderWrap::AtBoundary>("atBoundary"),
                       });
  }

  // new FrameDecoder(maxFrameBytes)
  explicit FrameDecoderWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<FrameDecoderWrap>(info), decoder_(static_cast<std::uint64_t>(NumberAt(info, 0))) {}

 private:
  static constexpr std::uint32_t kAssembled = 0xFFFFFFFF;

  // push(chunk, table): writes {type, offset, length} to the Uint32Array for each frame that the chunk completes and
  // returns how many, or -1 when a frame is too large. A frame that was cut has the offset kAssembled, and
  // takeAssembled() gives its body; only the first one of a chunk can be. A chunk has at most table.length / 3 * 9
  // bytes.
  Napi::Value Push(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const ByteSpan chunk = BytesAt(info, 0);
    if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
      ThrowArgument(env, "push takes a Uint8Array and a Uint32Array");
      return env.Undefined();
    }
    Napi::Uint32Array array = info[1].As<Napi::Uint32Array>();
    std::uint32_t* table = array.Data();
    const std::size_t room = array.ElementLength() / 3;
    // One frame more than whole headers fit: a header may have begun in an earlier chunk.
    if (chunk.size() / kHeaderBytes + 1 > room) {
      ThrowArgument(env, "the table is too small for this chunk");
      return env.Undefined();
    }
    double count = 0;
    const DecodeResult result = decoder_.Push(chunk, [&](std::uint8_t type, ByteSpan body) {
      *table++ = type;
      const bool inside = body.empty() || (body.data() >= chunk.data() && body.data() < chunk.data() + chunk.size());
      if (!inside) assembled_ = Bytes(body);
      *table++ = inside ? static_cast<std::uint32_t>(body.empty() ? 0 : body.data() - chunk.data()) : kAssembled;
      *table++ = static_cast<std::uint32_t>(body.size());
      ++count;
      return true;
    });
    return Napi::Number::New(env, result == DecodeResult::kOk ? count : -1);
  }

  Napi::Value TakeAssembled(const Napi::CallbackInfo& info) {
    return ToBuffer(info.Env(), std::exchange(assembled_, Bytes()));
  }

  Napi::Value Declared(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(decoder_.declared()));
  }

  Napi::Value AtBoundary(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), decoder_.AtBoundary());
  }

  FrameDecoder decoder_;
  Bytes assembled_;
};

}  // namespace

Napi::Function DefineFrameDecoder(Napi::Env env) { return FrameDecoderWrap::Define(env); }

}  // namespace bosun
