// Functions over datagrams, and watches on descriptors, for JavaScript: conversion only, see process/datagram.h.
//
// What goes wrong is told as the negative errno that libuv and Node use; util.getSystemErrorName knows them.

#include "process/datagram.h"

#include <fcntl.h>
#include <uv.h>

#include <memory>
#include <utility>

#include "addon/classes.h"
#include "addon/convert.h"
#include "io/uv_handle.h"

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

// A poll handle on Node's own loop. It is freed by the loop, behind its close, and holds back the end of its
// environment until then.
class Watch {
 public:
  // Null when the loop, or the system, refuses.
  static Watch* Open(Napi::Env env, int descriptor, bool is_for_room, Napi::Function callback) {
    // The loop has one handle for each descriptor, and this one may be watched for what comes too.
    UniqueFd own(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (!own) return nullptr;
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    auto watch = std::unique_ptr<Watch>(new Watch(env, std::move(own)));
    if (uv_poll_init(loop, watch->poll_, watch->descriptor_.get()) != 0) {
      std::free(watch->poll_);
      return nullptr;
    }
    Watch* self = watch.release();
    self->callback_ = Napi::Persistent(callback);
    napi_async_init(env, nullptr, Napi::String::New(env, "bosun.Watch"), &self->context_);
    uv_handle_set_data(BaseOf(self->poll_), self);
    uv_poll_start(self->poll_, is_for_room ? UV_WRITABLE : UV_READABLE,
                  [](uv_poll_t* handle, int, int) { OwnerOf<Watch>(handle)->Tell(); });
    napi_add_async_cleanup_hook(
        env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<Watch*>(data)->Close(); }, self,
        &self->hook_);
    return self;
  }

  void Close() noexcept {
    if (is_closing_) return;
    is_closing_ = true;
    callback_.Reset();
    napi_async_destroy(env_, context_);
    uv_close(BaseOf(poll_), [](uv_handle_t* handle) {
      Watch* self = OwnerOf<Watch>(handle);
      const napi_async_cleanup_hook_handle hook = self->hook_;
      std::free(handle);
      delete self;
      napi_remove_async_cleanup_hook(hook);
    });
  }

  void Hold(bool on) noexcept {
    if (is_closing_) return;
    if (on)
      uv_ref(BaseOf(poll_));
    else
      uv_unref(BaseOf(poll_));
  }

 private:
  Watch(Napi::Env env, UniqueFd descriptor) noexcept
      : env_(env), descriptor_(std::move(descriptor)), poll_(NewHandle<uv_poll_t>(UV_POLL)) {}

  void Tell() {
    if (is_closing_) return;
    const Napi::HandleScope scope(env_);
    CallBack(env_, context_, callback_.Value(), {});
  }

  Napi::Env env_;
  UniqueFd descriptor_;  // closed with this, behind the handle
  uv_poll_t* poll_;
  Napi::FunctionReference callback_;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool is_closing_ = false;
};

// watchDescriptor(fd, forRoom, callback): { close(), hold(on) }. Undefined when the loop refuses.
Napi::Value WatchDescriptor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[2].IsFunction()) {
    ThrowArgument(env, "watchDescriptor takes a descriptor, a boolean and a function");
    return env.Undefined();
  }
  Watch* watch =
      Watch::Open(env, static_cast<int>(NumberAt(info, 0, -1)), BoolAt(info, 1), info[2].As<Napi::Function>());
  if (watch == nullptr) return env.Undefined();
  // Once it is closed nobody may ask it for anything.
  auto shared = std::make_shared<Watch*>(watch);
  Napi::Object result = Napi::Object::New(env);
  result.Set("close", Napi::Function::New(env, [shared](const Napi::CallbackInfo&) {
               if (*shared != nullptr) std::exchange(*shared, nullptr)->Close();
             }));
  result.Set("hold", Napi::Function::New(env, [shared](const Napi::CallbackInfo& call) {
               if (*shared != nullptr) (*shared)->Hold(BoolAt(call, 0));
             }));
  return result;
}

}  // namespace

void DefineDatagram(Napi::Env env, Napi::Object exports) {
  exports.Set("bindDatagram", Napi::Function::New<Bind>(env, "bindDatagram"));
  exports.Set("connectDatagram", Napi::Function::New<Connect>(env, "connectDatagram"));
  exports.Set("sendDatagram", Napi::Function::New<Send>(env, "sendDatagram"));
  exports.Set("receiveDatagram", Napi::Function::New<Receive>(env, "receiveDatagram"));
  exports.Set("watchDescriptor", Napi::Function::New<WatchDescriptor>(env, "watchDescriptor"));
}

}  // namespace bosun
