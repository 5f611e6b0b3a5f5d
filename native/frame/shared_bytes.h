// A long run of bytes that several owners read: a task's payload, which its slot keeps while a socket still writes it.
//
// Who: any thread; the bytes never change. Cost: one allocation and an atomic count; copying the bytes would cost more
// from some tens of KiB on.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "frame/bytes.h"

namespace bosun {

class SharedBytes {
 public:
  SharedBytes() = default;
  // Takes the memory over; the bytes before `offset` are not part of the content.
  SharedBytes(Bytes&& memory, std::size_t offset) noexcept
      : block_(new (std::nothrow) Block(std::move(memory), offset)) {
    if (block_ == nullptr) std::abort();
  }
  SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
    // relaxed: whoever copies has a reference already.
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() {
    // acq_rel: what other owners have read of it comes before the memory goes.
    if (block_ != nullptr && block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete block_;
  }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  ByteSpan span() const noexcept {
    return block_ == nullptr ? ByteSpan{} : block_->memory.span().subspan(block_->offset);
  }

  // For a place that has room for one pointer only; Attach takes back what Detach gave.
  void* Detach() noexcept { return std::exchange(block_, nullptr); }
  static SharedBytes Attach(void* detached) noexcept {
    SharedBytes bytes;
    bytes.block_ = static_cast<Block*>(detached);
    return bytes;
  }
  // Another owner of what Detach gave, which stays there.
  static SharedBytes Share(void* detached) noexcept {
    SharedBytes original = Attach(detached);
    SharedBytes copy = original;
    original.Detach();
    return copy;
  }
  static ByteSpan Peek(const void* detached) noexcept {
    const Block* block = static_cast<const Block*>(detached);
    return block->memory.span().subspan(block->offset);
  }

 private:
  struct Block {
    Block(Bytes&& memory, std::size_t offset) noexcept : memory(std::move(memory)), offset(offset) {}
    std::atomic<std::uint32_t> owners{1};
    Bytes memory;
    const std::size_t offset;
  };

  Block* block_ = nullptr;
};

}  // namespace bosun
