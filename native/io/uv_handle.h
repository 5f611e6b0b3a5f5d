// libuv handles in memory of the size that the library itself gives: Node-API promises no layout of them.
//
// Who: the thread that runs the loop of the handle. Closing takes a turn of that loop, so a handle frees itself there.
#pragma once

#include <uv.h>

#include <cstdlib>
#include <utility>

namespace bosun {

template <class T>
T* NewHandle(uv_handle_type type) noexcept {
  void* memory = std::calloc(1, uv_handle_size(type));
  if (memory == nullptr) std::abort();
  return static_cast<T*>(memory);
}

template <class T>
uv_handle_t* BaseOf(T* handle) noexcept {
  return reinterpret_cast<uv_handle_t*>(handle);
}

// What was set as the data of a handle.
template <class Owner, class T>
Owner* OwnerOf(T* handle) noexcept {
  return static_cast<Owner*>(uv_handle_get_data(BaseOf(handle)));
}

template <class T>
class UvHandle {
 public:
  UvHandle() = default;
  explicit UvHandle(uv_handle_type type) noexcept : handle_(NewHandle<T>(type)) {}
  UvHandle(UvHandle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  UvHandle& operator=(UvHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~UvHandle() { Close(); }

  T* get() const noexcept { return handle_; }
  uv_handle_t* base() const noexcept { return BaseOf(handle_); }
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  // After a failed init: the loop knows nothing of it.
  void Discard() noexcept { std::free(std::exchange(handle_, nullptr)); }

  // No callback of it comes from now on, but of the loop's own closing.
  void Close() noexcept {
    if (handle_ == nullptr) return;
    T* handle = std::exchange(handle_, nullptr);
    uv_close(BaseOf(handle), [](uv_handle_t* closed) { std::free(closed); });
  }

 private:
  T* handle_ = nullptr;
};

}  // namespace bosun
