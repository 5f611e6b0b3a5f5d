// Sockets for JavaScript: when they are ready, and what to do then. Conversion only, see
// process/socket.h.

#include <uv.h>

#include <memory>
#include <utility>

#include "addon/classes.h"
#include "addon/convert.h"
#include "io/uv_handle.h"
#include "process/socket.h"

namespace bosun {
namespace {

// A poll handle on Node's own loop. It is freed by the loop, behind its close, and holds back the end of its
// environment until then.
class Watch {
 public:
  // Null when the loop, or the system, refuses.
  static Watch* Open(Napi::Env env, Socket socket, Napi::Function callback) {
    // The loop has one handle for each descriptor, and there may be other watches on it.
    UniqueSocket own = DuplicateSocket(socket);
    if (!own) return nullptr;
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    auto watch = std::unique_ptr<Watch>(new Watch(env, std::move(own)));
    if (uv_poll_init_socket(loop, watch->poll_, watch->socket_.get()) != 0) {
      std::free(watch->poll_);
      return nullptr;
    }
    Watch* self = watch.release();
    self->callback_ = Napi::Persistent(callback);
    napi_async_init(env, nullptr, Napi::String::New(env, "bosun.Watch"), &self->context_);
    uv_handle_set_data(BaseOf(self->poll_), self);
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

  // UV_READABLE and UV_WRITABLE; 0 for nothing.
  void Await(int events) noexcept {
    if (is_closing_) return;
    if (events == 0) {
      uv_poll_stop(poll_);
      return;
    }
    uv_poll_start(poll_, events, [](uv_poll_t* handle, int status, int events) {
      // What is broken is found out by using it.
      OwnerOf<Watch>(handle)->Tell(status < 0 ? UV_READABLE | UV_WRITABLE : events);
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
  Watch(Napi::Env env, UniqueSocket socket) noexcept
      : env_(env), socket_(std::move(socket)), poll_(NewHandle<uv_poll_t>(UV_POLL)) {}

  void Tell(int events) {
    if (is_closing_) return;
    const Napi::HandleScope scope(env_);
    const napi_value args[] = {Napi::Number::New(env_, events)};
    CallBack(env_, context_, callback_.Value(), args);
  }

  Napi::Env env_;
  UniqueSocket socket_;  // closed with this, behind the handle
  uv_poll_t* poll_;
  Napi::FunctionReference callback_;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool is_closing_ = false;
};

// watchSocket(socket, events, callback): { close(), hold(on), await(events) }. Undefined when the loop refuses.
Napi::Value WatchSocket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[2].IsFunction()) {
    ThrowArgument(env, "watchSocket takes a socket, events and a function");
    return env.Undefined();
  }
  Watch* watch = Watch::Open(env, static_cast<Socket>(NumberAt(info, 0, -1)), info[2].As<Napi::Function>());
  if (watch == nullptr) return env.Undefined();
  watch->Await(static_cast<int>(U32At(info, 1)));
  // Once it is closed nobody may ask it for anything.
  auto shared = std::make_shared<Watch*>(watch);
  Napi::Object result = Napi::Object::New(env);
  result.Set("close", Napi::Function::New(env, [shared](const Napi::CallbackInfo&) {
               if (*shared != nullptr) std::exchange(*shared, nullptr)->Close();
             }));
  result.Set("hold", Napi::Function::New(env, [shared](const Napi::CallbackInfo& call) {
               if (*shared != nullptr) (*shared)->Hold(BoolAt(call, 0));
             }));
  result.Set("await", Napi::Function::New(env, [shared](const Napi::CallbackInfo& call) {
               if (*shared != nullptr) (*shared)->Await(static_cast<int>(U32At(call, 0)));
             }));
  return result;
}

// receiveSome(socket, memory): the bytes that are there, as many as fit; 0: none; -1: nor will there be any.
Napi::Value Receive(const Napi::CallbackInfo& info) {
  const auto got = ReceiveSome(static_cast<Socket>(NumberAt(info, 0, -1)), BytesAt(info, 1));
  return Napi::Number::New(info.Env(), static_cast<double>(got));
}

// sendSome(socket, bytes): how many were taken; 0: there is no room; -1: nobody is there.
Napi::Value Send(const Napi::CallbackInfo& info) {
  iovec parts[] = {PartOf(BytesAt(info, 1))};
  const auto sent = SendSome(static_cast<Socket>(NumberAt(info, 0, -1)), parts);
  return Napi::Number::New(info.Env(), static_cast<double>(sent));
}

// toSocket(fd): takes over the descriptor.
Napi::Value Adopt(const Napi::CallbackInfo& info) {
  UniqueSocket socket = ToSocket(static_cast<int>(NumberAt(info, 0, -1)));
  if (!socket) {
    ThrowErrno(info.Env(), errno);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(socket.Release()));
}

// endSocket(socket): nothing more is sent.
Napi::Value End(const Napi::CallbackInfo& info) {
  EndSocket(static_cast<Socket>(NumberAt(info, 0, -1)));
  return info.Env().Undefined();
}

// closeSocket(socket): one that the addon opened.
Napi::Value CloseSocket(const Napi::CallbackInfo& info) {
  UniqueSocket(static_cast<Socket>(NumberAt(info, 0, -1)));
  return info.Env().Undefined();
}

}  // namespace

void DefineSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("closeSocket", Napi::Function::New<CloseSocket>(env, "closeSocket"));
  exports.Set("endSocket", Napi::Function::New<End>(env, "endSocket"));
  exports.Set("receiveSome", Napi::Function::New<Receive>(env, "receiveSome"));
  exports.Set("sendSome", Napi::Function::New<Send>(env, "sendSome"));
  exports.Set("toSocket", Napi::Function::New<Adopt>(env, "toSocket"));
  exports.Set("watchSocket", Napi::Function::New<WatchSocket>(env, "watchSocket"));
}

}  // namespace bosun
