// A growing array of bytes, left uninitialised.
//
// Who: one thread at a time. Cost: append is amortised O(n) in the bytes, without the zero fill of std::vector::resize.
// Not for: data shared between threads, or objects with constructors. Out of memory ends the process: a scheduler that
// drops bytes would lose work silently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

namespace bosun {

using ByteSpan = std::span<const std::uint8_t>;

class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(ByteSpan content) noexcept { Append(content); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  Bytes(Bytes&& other) noexcept { Swap(other); }
  Bytes& operator=(Bytes&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~Bytes() { std::free(data_); }

  std::uint8_t* data() noexcept { return data_; }
  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  ByteSpan span() const noexcept { return {data_, size_}; }

  void Reserve(std::size_t capacity) noexcept {
    if (capacity <= capacity_) return;
    void* grown = std::realloc(data_, capacity);
    if (grown == nullptr) std::abort();
    data_ = static_cast<std::uint8_t*>(grown);
    capacity_ = capacity;
  }

  // Room for `length` more bytes, which the caller fills.
  std::uint8_t* Extend(std::size_t length) noexcept {
    if (length > capacity_ - size_) Reserve(Grown(length));
    std::uint8_t* start = data_ + size_;
    size_ += length;
    return start;
  }

  void Append(ByteSpan content) noexcept {
    if (!content.empty()) std::memcpy(Extend(content.size()), content.data(), content.size());
  }

  void Clear() noexcept { size_ = 0; }

  // Empties it and gives the memory back, which Clear keeps for the next use.
  void Release() noexcept { Bytes{}.Swap(*this); }

  // The memory, to be freed with std::free; this object is empty afterwards.
  std::uint8_t* Detach() noexcept {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

  void Swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  std::size_t Grown(std::size_t length) const noexcept {
    const std::size_t needed = size_ + length;
    const std::size_t doubled = capacity_ * 2;
    return needed > doubled ? needed : doubled;
  }

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace bosun
