// Functions over datagrams for JavaScript: conversion only, see process/datagram.h.
//
// What goes wrong is told as the negative errno that libuv and Node use; util.getSystemErrorName knows them.

#include "process/datagram.h"

#include "addon/classes.h"
#include "addon/convert.h"

namespace bosun {
namespace {

Napi::Value Errno(const Napi::CallbackInfo& info, int number) { return Napi::Number::New(info.Env(), -number); }

Napi::Value Descriptor(const Napi::CallbackInfo& info, int failure, UniqueFd& fd) {
  return Napi::Number::New(info.Env(), failure == 0 ? fd.Release() : -failure);
}

// bindDatagram(path, buffer): a descriptor, or an errno.
Napi::Value Bind(const Napi::CallbackInfo& info) {
  UniqueFd fd;
  const int failure = BindDatagram(StringAt(info, 0), U32At(info, 1), fd);
  return Descriptor(info, failure, fd);
}

// connectDatagram(path): likewise.
Napi::Value Connect(const Napi::CallbackInfo& info) {
  UniqueFd fd;
  const int failure = ConnectDatagram(StringAt(info, 0), fd);
  return Descriptor(info, failure, fd);
}

// sendDatagram(fd, bytes, path): 0, or an errno.
Napi::Value Send(const Napi::CallbackInfo& info) {
  return Errno(info, SendDatagram(static_cast<int>(NumberAt(info, 0, -1)), BytesAt(info, 1), StringAt(info, 2)));
}

// receiveDatagram(fd, memory): [bytes, source, pid, uid], or an errno. The memory is used while it is called only.
Napi::Value Receive(const Napi::CallbackInfo& info) {
  const std::span<std::uint8_t> memory = BytesAt(info, 1);
  if (memory.size() < kMaxDatagram) return Errno(info, EINVAL);
  Datagram datagram;
  const int failure = ReceiveDatagram(static_cast<int>(NumberAt(info, 0, -1)), memory.data(), datagram);
  if (failure != 0) return Errno(info, failure);
  const Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env, 4);
  result.Set(0u, Napi::Buffer<std::uint8_t>::Copy(env, memory.data(), datagram.length));
  result.Set(1u, Napi::String::New(env, datagram.source));
  result.Set(2u, Napi::Number::New(env, static_cast<double>(datagram.pid)));
  result.Set(3u, Napi::Number::New(env, static_cast<double>(datagram.uid)));
  return result;
}

}  // namespace

void DefineDatagram(Napi::Env env, Napi::Object exports) {
  exports.Set("bindDatagram", Napi::Function::New<Bind>(env, "bindDatagram"));
  exports.Set("connectDatagram", Napi::Function::New<Connect>(env, "connectDatagram"));
  exports.Set("sendDatagram", Napi::Function::New<Send>(env, "sendDatagram"));
  exports.Set("receiveDatagram", Napi::Function::New<Receive>(env, "receiveDatagram"));
}

}  // namespace bosun
