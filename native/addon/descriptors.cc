// Functions over descriptors for JavaScript: conversion only, see process/descriptors.h.

#include "process/descriptors.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

// closeDescriptor(fd): for those that the addon opened. Node's own close would warn of them in a worker thread.
Napi::Value CloseDescriptor(const Napi::CallbackInfo& info) {
  ::close(static_cast<int>(NumberAt(info, 0, -1)));
  return info.Env().Undefined();
}

// duplicate(fd): another one for the same, the caller's.
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  const int copy = ::fcntl(static_cast<int>(NumberAt(info, 0, -1)), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) ThrowErrno(info.Env(), errno);
  return Napi::Number::New(info.Env(), copy);
}

// openPipe(): [read end, write end], the caller's; for the standard error of a child.
Napi::Value OpenPipeEnds(const Napi::CallbackInfo& info) {
  int ends[2];
  if (!OpenPipe(ends)) {
    ThrowErrno(info.Env(), errno);
    return info.Env().Undefined();
  }
  Widen(ends[0]);
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  for (std::uint32_t i = 0; i < 2; ++i) result.Set(i, Napi::Number::New(info.Env(), ends[i]));
  return result;
}

// writeSome(fd, bytes): how many the system has taken, without waiting; 0 when it has no room, or the reader is gone.
Napi::Value WriteSome(const Napi::CallbackInfo& info) {
  const std::span<std::uint8_t> bytes = BytesAt(info, 1);
  const ssize_t written = ::write(static_cast<int>(NumberAt(info, 0, -1)), bytes.data(), bytes.size());
  return Napi::Number::New(info.Env(), written > 0 ? static_cast<double>(written) : 0);
}

// writeFully(fd, bytes, patienceMs): false when the reader is gone, or takes nothing for so long.
Napi::Value WriteFullyTo(const Napi::CallbackInfo& info) {
  const bool written =
      WriteFully(static_cast<int>(NumberAt(info, 0, -1)), BytesAt(info, 1), static_cast<int>(NumberAt(info, 2)));
  return Napi::Boolean::New(info.Env(), written);
}

}  // namespace

void DefineDescriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("closeDescriptor", Napi::Function::New<CloseDescriptor>(env, "closeDescriptor"));
  exports.Set("duplicate", Napi::Function::New<Duplicate>(env, "duplicate"));
  exports.Set("openPipe", Napi::Function::New<OpenPipeEnds>(env, "openPipe"));
  exports.Set("writeSome", Napi::Function::New<WriteSome>(env, "writeSome"));
  exports.Set("writeFully", Napi::Function::New<WriteFullyTo>(env, "writeFully"));
}

}  // namespace bosun
