// The whole test framework of the native programs.
//
// What: TEST(Name) { ... } registers a function, CHECK and CHECK_EQ end the program with exit code 1 and file:line on
// failure, and `int main() { return bosun::test::RunAll(); }` ends a program.
// Threads: CHECK may be used from any thread; RunAll from main only.
// Cost: one branch for each check. RunAll runs tests in the order of the file.
// When not: programs that fuzz (their entry point is LLVMFuzzerTestOneInput) use CHECK alone.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <type_traits>

namespace bosun::test {

// Of the random run that is under way, printed with a failure unless it is 0. Set on one thread, before others start.
inline std::uint64_t seed = 0;

// BOSUN_SEED, or one that is different each time.
inline std::uint64_t NewSeed() {
  const char* text = std::getenv("BOSUN_SEED");
  seed = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}() | 1u;
  return seed;
}

[[noreturn]] inline void Fail(const char* file, int line, const char* what) noexcept {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what);
  if (seed != 0) std::fprintf(stderr, "  BOSUN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stderr);
  // _Exit, because other threads may still be running and must not meet destroyed statics.
  std::_Exit(1);
}

template <typename T>
void Print(const char* name, const T& value) noexcept {
  if constexpr (std::is_enum_v<T>) {
    std::fprintf(stderr, "  %s = %lld\n", name, static_cast<long long>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    std::fprintf(stderr, "  %s = %g\n", name, static_cast<double>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    std::fprintf(stderr, "  %s = %lld\n", name, static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    std::fprintf(stderr, "  %s = %llu\n", name, static_cast<unsigned long long>(value));
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    const std::string_view text = value;
    std::fprintf(stderr, "  %s = \"%.*s\"\n", name, static_cast<int>(text.size()), text.data());
  } else if constexpr (std::is_convertible_v<T, const void*>) {
    std::fprintf(stderr, "  %s = %p\n", name, static_cast<const void*>(value));
  } else {
    std::fprintf(stderr, "  %s = (not printable)\n", name);
  }
}

// Integers of different signs compare by value, not by bits, and without a warning.
template <typename A, typename B>
bool Equal(const A& a, const B& b) noexcept {
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && std::is_signed_v<A> != std::is_signed_v<B>) {
    if constexpr (std::is_signed_v<A>) {
      return a >= 0 && static_cast<std::make_unsigned_t<A>>(a) == b;
    } else {
      return b >= 0 && a == static_cast<std::make_unsigned_t<B>>(b);
    }
  } else {
    return a == b;
  }
}

template <typename A, typename B>
void CheckEq(const char* file, int line, const char* what, const char* a_name, const A& a, const char* b_name,
             const B& b) noexcept {
  if (Equal(a, b)) [[likely]] {
    return;
  }
  Print(a_name, a);
  Print(b_name, b);
  Fail(file, line, what);
}

struct Test {
  const char* name;
  void (*run)();
  Test* next;
};

// Filled by static initialisers, before main and on one thread.
inline Test* first_test = nullptr;
inline Test** last_link = &first_test;

struct Register {
  explicit Register(Test* test) noexcept {
    *last_link = test;
    last_link = &test->next;
  }
};

// Runs every test, or with BOSUN_TEST=text only those whose name contains it. Program arguments belong to the program.
inline int RunAll() noexcept {
  const char* only = std::getenv("BOSUN_TEST");
  int count = 0;
  for (const Test* test = first_test; test != nullptr; test = test->next) {
    if (only != nullptr && std::strstr(test->name, only) == nullptr) {
      continue;
    }
    if (std::getenv("BOSUN_VERBOSE") != nullptr) {
      std::printf("  %s\n", test->name);
      std::fflush(stdout);
    }
    test->run();
    ++count;
  }
  std::printf("%d tests passed\n", count);
  return 0;
}

// The amount of work of a stress program: `base` times BOSUN_STRESS, at least 1.
inline std::uint64_t Scaled(std::uint64_t base) noexcept {
  const char* text = std::getenv("BOSUN_STRESS");
  const double factor = text != nullptr ? std::atof(text) : 1.0;
  const double scaled = static_cast<double>(base) * (factor > 0 ? factor : 1.0);
  return scaled < 1.0 ? 1 : static_cast<std::uint64_t>(scaled);
}

}  // namespace bosun::test

#define CHECK(condition)                                   \
  do {                                                     \
    if (!(condition)) [[unlikely]]                         \
      ::bosun::test::Fail(__FILE__, __LINE__, #condition); \
  } while (0)

#define CHECK_EQ(a, b) ::bosun::test::CheckEq(__FILE__, __LINE__, #a " == " #b, #a, (a), #b, (b))

#define TEST(name)                                                     \
  static void Test##name();                                            \
  static ::bosun::test::Test test_##name{#name, &Test##name, nullptr}; \
  static const ::bosun::test::Register register_##name{&test_##name};  \
  static void Test##name()
