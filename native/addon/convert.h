// Checked conversions between JavaScript and C++. No argument is ever coerced: a coercion can run JavaScript, and a
// worker thread that is terminated inside one would end the whole process.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "frame/bytes.h"

namespace bosun {

inline void Throw(Napi::Env env, const char* code, const char* message) {
  Napi::Error error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  error.ThrowAsJavaScriptException();
}

inline void ThrowArgument(Napi::Env env, const char* message) { Throw(env, "ERR_BOSUN_INVALID_ARGUMENT", message); }

// `fallback` for anything that is no number; the TypeScript side has checked what users pass.
inline double NumberAt(const Napi::CallbackInfo& info, std::size_t index, double fallback = 0) {
  return info[index].IsNumber() ? info[index].As<Napi::Number>().DoubleValue() : fallback;
}

inline std::uint32_t U32At(const Napi::CallbackInfo& info, std::size_t index) {
  const double value = NumberAt(info, index);
  return value >= 0 && value <= 0xFFFFFFFF ? static_cast<std::uint32_t>(value) : 0;
}

// True for a whole number from 0 to `most`.
inline bool IsIndex(const Napi::CallbackInfo& info, std::size_t index, std::uint32_t most) {
  const double value = NumberAt(info, index, -1);
  return value >= 0 && value <= most && value == static_cast<double>(static_cast<std::uint32_t>(value));
}

inline bool BoolAt(const Napi::CallbackInfo& info, std::size_t index) {
  return info[index].IsBoolean() && info[index].As<Napi::Boolean>().Value();
}

// Empty for anything that is no string.
inline std::string StringAt(const Napi::CallbackInfo& info, std::size_t index) {
  return info[index].IsString() ? info[index].As<Napi::String>().Utf8Value() : std::string();
}

// The bytes of a Uint8Array, or nothing.
inline std::span<std::uint8_t> BytesAt(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsTypedArray()) return {};
  const Napi::TypedArray array = info[index].As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return {};
  void* data = nullptr;
  std::size_t length = 0;
  napi_get_typedarray_info(info.Env(), array, nullptr, &length, &data, nullptr, nullptr);
  return {static_cast<std::uint8_t*>(data), length};
}

// A Buffer with these bytes. Large ones are handed over, small ones are copied: that is cheaper than a finalizer.
inline Napi::Value ToBuffer(Napi::Env env, Bytes&& bytes) {
  constexpr std::size_t kHandOver = 64 << 10;
  const std::size_t size = bytes.size();
  if (size < kHandOver) return Napi::Buffer<std::uint8_t>::Copy(env, bytes.data(), size);
  return Napi::Buffer<std::uint8_t>::NewOrCopy(env, bytes.Detach(), size,
                                               [](Napi::Env, std::uint8_t* data) { std::free(data); });
}

// From the event loop; what it throws has nobody above to be thrown at. The environment may be ending: then nothing
// happens.
inline void CallBack(napi_env env, napi_async_context context, napi_value callback, std::span<const napi_value> args) {
  napi_value receiver = nullptr;
  napi_get_global(env, &receiver);
  const napi_status status = napi_make_callback(env, context, receiver, callback, args.size(), args.data(), nullptr);
  if (status != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

// As an error of the system's own: `code` says whether it is a matter of descriptors.
inline void ThrowErrno(Napi::Env env, int number) {
  Napi::Error error = Napi::Error::New(env, std::strerror(number));
  error.Set("errno", Napi::Number::New(env, -number));
  error.Set("code", Napi::String::New(env, number == EMFILE || number == ENFILE ? "EMFILE" : "EAGAIN"));
  error.ThrowAsJavaScriptException();
}

}  // namespace bosun
