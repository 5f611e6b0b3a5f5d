// The event loop of a manager's own thread, as far as its driver needs it: one descriptor to watch (-1: none), and a
// bell that other threads may ring.
//
// Who: the thread of the environment; Ring from any. It frees itself behind Close, when libuv has let go of its
// handles, so an environment may end in the middle of anything.
#pragma once

#include <napi.h>
#include <uv.h>

#include "io/uv_handle.h"

namespace bosun {

class OwnerLoop {
 public:
  // `readable(context)` is called on the thread of `env` when the descriptor is, `rung(context)` when somebody has
  // rung. Null when the loop refuses.
  static OwnerLoop* Open(napi_env env, int descriptor, void (*readable)(void*), void (*rung)(void*), void* context) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
    auto* self = new OwnerLoop(readable, rung, context);
    if (uv_async_init(loop, self->bell_, [](uv_async_t* handle) {
          OwnerLoop* ears = OwnerOf<OwnerLoop>(handle);
          if (!ears->closed_) ears->rung_(ears->context_);
        }) != 0) {
      delete self;
      return nullptr;
    }
    self->Init(self->bell_);
    if (descriptor < 0) return self;
    if (uv_poll_init(loop, self->poll_, descriptor) != 0) {
      self->Close(nullptr, nullptr);
      return nullptr;
    }
    self->Init(self->poll_);
    return self;
  }

  // Any thread, until Close.
  void Ring() noexcept { uv_async_send(bell_); }

  void Watch(bool on) noexcept {
    if (on == watching_) return;
    watching_ = on;
    if (!on) {
      uv_poll_stop(poll_);
      return;
    }
    uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
      OwnerLoop* ears = OwnerOf<OwnerLoop>(handle);
      ears->readable_(ears->context_);
    });
  }

  // Nothing is called from now on but `done(argument)`, when the handles are gone and this is too.
  void Close(void (*done)(void*), void* argument) noexcept {
    closed_ = true;
    done_ = done;
    argument_ = argument;
    const auto gone = [](uv_handle_t* handle) {
      auto* self = OwnerOf<OwnerLoop>(handle);
      if (--self->open_ > 0) return;
      if (self->done_ != nullptr) self->done_(self->argument_);
      delete self;
    };
    // A handle that libuv knows has this as its data.
    for (uv_handle_t* handle : {BaseOf(bell_), BaseOf(poll_)}) {
      if (uv_handle_get_data(handle) != nullptr) uv_close(handle, gone);
    }
  }

 private:
  OwnerLoop(void (*readable)(void*), void (*rung)(void*), void* context)
      : bell_(NewHandle<uv_async_t>(UV_ASYNC)),
        poll_(NewHandle<uv_poll_t>(UV_POLL)),
        readable_(readable),
        rung_(rung),
        context_(context) {}
  ~OwnerLoop() {
    std::free(bell_);
    std::free(poll_);
  }

  // It does not keep the process up: what waits for tasks does.
  template <class T>
  void Init(T* handle) noexcept {
    uv_handle_set_data(BaseOf(handle), this);
    uv_unref(BaseOf(handle));
    ++open_;
  }

  uv_async_t* const bell_;
  uv_poll_t* const poll_;
  void (*const readable_)(void*);
  void (*const rung_)(void*);
  void* const context_;
  void (*done_)(void*) = nullptr;
  void* argument_ = nullptr;
  int open_ = 0;
  bool watching_ = false;
  bool closed_ = false;
};

}  // namespace bosun
