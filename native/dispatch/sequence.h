// Numbers that are counted modulo 2^32.
#pragma once

#include <cstdint>

namespace bosun {

// True when `number` comes after `other`, across the wrap.
constexpr bool After(std::uint32_t number, std::uint32_t other) noexcept {
  return static_cast<std::int32_t>(number - other) > 0;
}

}  // namespace bosun
