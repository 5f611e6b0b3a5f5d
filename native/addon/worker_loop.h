// What drives a WorkerLink on Node's own event loop: a poll handle on its stream, and a prepare handle that flushes,
// and spins, before the loop sleeps.
//
// Who: the thread of that loop. The poll handle keeps the process alive; the others never do.
// Spinning ends as soon as anything else could have work for the loop (a timer, a socket, a request of a task), and
// after kStayUs the loop turns once without sleeping, for signals and what else keeps no process alive.
// libuv promises no layout to addons, so handles are allocated by their size.
#pragma once

#include <uv.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "io/uv_handle.h"
#include "process/clock.h"
#include "process/worker_link.h"

namespace bosun {

// What has happened, for JavaScript.
inline constexpr std::uint32_t kWakeTasks = 1;
inline constexpr std::uint32_t kWakeControl = 2;
inline constexpr std::uint32_t kWakeEnded = 4;
inline constexpr std::uint32_t kWakeDrained = 8;

class WorkerLoop {
 public:
  class Listener {
   public:
    // Of what has happened; runs tasks, and may close the loop.
    virtual void Wake(std::uint32_t what) = 0;
    virtual void Closed() = 0;

   protected:
    ~Listener() = default;
  };

  WorkerLoop(uv_loop_t* loop, Stream stream, SharedPage page, Listener& listener) noexcept
      : loop_(loop), listener_(listener) {
    link_.emplace(std::move(stream), std::move(page));
    poll_ = NewHandle<uv_poll_t>(UV_POLL);
    prepare_ = NewHandle<uv_prepare_t>(UV_PREPARE);
    idle_ = NewHandle<uv_idle_t>(UV_IDLE);
  }
  WorkerLoop(const WorkerLoop&) = delete;
  WorkerLoop& operator=(const WorkerLoop&) = delete;

  // False when the descriptor cannot be polled; to be closed all the same.
  bool Start() noexcept {
    is_polled_ = uv_poll_init_socket(loop_, poll_, link_->socket()) == 0;
    uv_prepare_init(loop_, prepare_);
    uv_idle_init(loop_, idle_);
    for (uv_handle_t* handle : Others()) uv_unref(handle);
    uv_handle_set_data(BaseOf(poll_), this);
    uv_handle_set_data(BaseOf(prepare_), this);
    uv_handle_set_data(BaseOf(idle_), this);
    uv_prepare_start(prepare_, [](uv_prepare_t* handle) { OwnerOf<WorkerLoop>(handle)->OnPrepare(); });
    Watch();
    return is_polled_;
  }

  // Null once it is closed.
  WorkerLink* link() noexcept { return link_ ? &*link_ : nullptr; }

  bool is_closed() const noexcept { return is_closing_ && open_ == 0; }

  // The listener hears of the end from the loop.
  void Close() noexcept {
    if (!link_ || is_closing_) return;
    is_closing_ = true;
    const uv_close_cb closed = [](uv_handle_t* handle) {
      WorkerLoop& self = *OwnerOf<WorkerLoop>(handle);
      std::free(handle);
      if (--self.open_ == 0) self.listener_.Closed();
    };
    open_ = 2;
    if (is_polled_) {
      ++open_;
      uv_close(BaseOf(poll_), closed);
    } else {
      std::free(poll_);
    }
    for (uv_handle_t* handle : Others()) uv_close(handle, closed);
    // Closes the socket, which libuv polls no more, and joins the thread.
    link_.reset();
  }

 private:
  static constexpr std::uint64_t kStayUs = 1000;

  std::array<uv_handle_t*, 2> Others() const noexcept { return {BaseOf(prepare_), BaseOf(idle_)}; }

  // For what is of interest now; libuv forgets it only when it is told so.
  void Watch() noexcept {
    const bool wants_room = link_->blocked() && !link_->is_in_memory();
    const int events = (link_->ended() ? 0 : UV_READABLE) | (wants_room ? UV_WRITABLE : 0);
    if (!is_polled_ || events == events_) return;
    events_ = events;
    if (events == 0) {
      uv_poll_stop(poll_);
      return;
    }
    uv_poll_start(poll_, events,
                  [](uv_poll_t* handle, int, int events) { OwnerOf<WorkerLoop>(handle)->OnPoll(events); });
  }

  void OnPoll(int events) noexcept {
    std::uint32_t what = 0;
    if ((events & UV_READABLE) != 0) link_->Heed();
    const bool may_have_room = (events & UV_WRITABLE) != 0 || link_->is_in_memory();
    if (may_have_room && link_->blocked() && link_->Flush()) what = kWakeDrained;
    link_->Read();
    Deliver(what);
  }

  void Deliver(std::uint32_t what) noexcept {
    if (link_->HasTasks()) what |= kWakeTasks;
    if (link_->HasControl()) what |= kWakeControl;
    if (link_->ended() && !std::exchange(has_told_end_, true)) what |= kWakeEnded;
    if (what != 0) listener_.Wake(what);
  }

  void OnPrepare() noexcept {
    if (uv_is_active(BaseOf(idle_)) != 0) uv_idle_stop(idle_);
    link_->Flush();
    Watch();
    const std::uint64_t until = NowUs() + kStayUs;
    while (link_->answered() && IsQuiet() && link_->Spin()) {
      if (!Attend()) return;
      if (NowUs() < until) continue;
      StayAwake();
      return;
    }
    if (link_->Sleep()) return;
    link_->Read();
    if (Attend()) StayAwake();
  }

  // What has just been read; false when that closed the link.
  bool Attend() noexcept {
    Deliver(0);
    if (!link_) return false;
    link_->Flush();
    Watch();
    return true;
  }

  // The next turn does not sleep, and begins with OnPrepare again.
  void StayAwake() noexcept {
    uv_idle_start(idle_, [](uv_idle_t*) {});
  }

  // Nothing but this link could give the loop something to do.
  bool IsQuiet() noexcept {
    if (!is_polled_) return false;
    uv_unref(BaseOf(poll_));
    const bool is_alive = uv_loop_alive(loop_) != 0;
    uv_ref(BaseOf(poll_));
    return !is_alive;
  }

  uv_loop_t* const loop_;
  Listener& listener_;
  std::optional<WorkerLink> link_;
  uv_poll_t* poll_ = nullptr;
  uv_prepare_t* prepare_ = nullptr;
  uv_idle_t* idle_ = nullptr;
  int events_ = 0;
  int open_ = 0;
  bool is_polled_ = false;
  bool is_closing_ = false;
  bool has_told_end_ = false;
};

}  // namespace bosun
