// Functions over descriptors for JavaScript: conversion only, see process/descriptors.h.

#include "process/descriptors.h"

#if !defined(_WIN32)
#include <netinet/in.h>
#include <netinet/tcp.h>
#endif

#include "addon/classes.h"
#include "addon/convert.h"
#include "process/shared_page.h"

namespace bosun {
namespace {

// closeDescriptor(fd): for those that the addon opened. Node's own close would warn of them in a worker thread.
Napi::Value Close(const Napi::CallbackInfo& info) {
  CloseDescriptor(static_cast<int>(NumberAt(info, 0, -1)));
  return info.Env().Undefined();
}

// duplicate(fd): another one for the same, the caller's.
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  const int copy = DuplicateDescriptor(static_cast<int>(NumberAt(info, 0, -1)));
  if (copy < 0) ThrowErrno(info.Env(), errno);
  return Napi::Number::New(info.Env(), copy);
}

// giveUpAfter(fd, ms): a TCP connection ends when what was sent is not acknowledged for so long. Keep-alive asks only
// while nothing is on its way, and the system's own patience is a quarter of an hour.
Napi::Value GiveUpAfter(const Napi::CallbackInfo& info) {
#if defined(TCP_USER_TIMEOUT)
  const unsigned int timeout = U32At(info, 1);
  ::setsockopt(static_cast<int>(NumberAt(info, 0, -1)), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
#elif defined(TCP_RXT_CONNDROPTIME)
  const int timeout = static_cast<int>(U32At(info, 1) / 1000);
  ::setsockopt(static_cast<int>(NumberAt(info, 0, -1)), IPPROTO_TCP, TCP_RXT_CONNDROPTIME, &timeout, sizeof timeout);
#endif
  return info.Env().Undefined();
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

// openLink(): [parent end, child end, shared memory, child lifeline, parent lifeline]; see LocalLink. The first four
// are the caller's. The last is an object: it is closed when that is collected, or its thread ends, in whatever way.
Napi::Value OpenLink(const Napi::CallbackInfo& info) {
  LocalLink link;
  if (!OpenLocalLink(link, false)) {
    ThrowErrno(info.Env(), errno);
    return info.Env().Undefined();
  }
  const double values[] = {static_cast<double>(link.parent_end.Release()),
                           static_cast<double>(link.child_end.Release()), static_cast<double>(link.page_file.Release()),
                           static_cast<double>(link.child_lifeline.Release())};
  Napi::Array result = Napi::Array::New(info.Env(), std::size(values) + 1);
  std::uint32_t i = 0;
  for (const double value : values) result.Set(i++, Napi::Number::New(info.Env(), value));
  auto* lifeline = new UniqueFd(std::move(link.parent_lifeline));
  result.Set(i, Napi::External<UniqueFd>::New(info.Env(), lifeline, [](Napi::Env, UniqueFd* held) { delete held; }));
  return result;
}

// mapShared(fd): the beginning of the memory behind it, as an ArrayBuffer that other processes write to as well.
Napi::Value MapShared(const Napi::CallbackInfo& info) {
  constexpr std::size_t kBytes = 64;
  static_assert(kBytes <= sizeof(StatusPage));
  void* memory = MapMemory(static_cast<int>(NumberAt(info, 0, -1)), 0, kBytes);
  if (memory == nullptr) {
    ThrowErrno(info.Env(), errno);
    return info.Env().Undefined();
  }
  return Napi::ArrayBuffer::New(info.Env(), memory, kBytes, [](Napi::Env, void* data) { UnmapMemory(data, kBytes); });
}

}  // namespace

void DefineDescriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("closeDescriptor", Napi::Function::New<Close>(env, "closeDescriptor"));
  exports.Set("giveUpAfter", Napi::Function::New<GiveUpAfter>(env, "giveUpAfter"));
  exports.Set("duplicate", Napi::Function::New<Duplicate>(env, "duplicate"));
  exports.Set("mapShared", Napi::Function::New<MapShared>(env, "mapShared"));
  exports.Set("openLink", Napi::Function::New<OpenLink>(env, "openLink"));
  exports.Set("openPipe", Napi::Function::New<OpenPipeEnds>(env, "openPipe"));
}

}  // namespace bosun
