// The order of alarms, and what is thrown away, against a plain list.

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "dispatch/alarms.h"

namespace {

using bosun::Alarm;
using bosun::AlarmKind;
using bosun::Alarms;

bool Always(const Alarm& /*alarm*/) { return true; }

Alarm At(std::uint64_t due_us, std::uint32_t slot = 0, AlarmKind kind = AlarmKind::kDeadline) {
  return {due_us, slot, slot * 3, static_cast<std::uint16_t>(slot), kind};
}

TEST(TheEarliestComesFirstWhateverTheOrderOfPushes) {
  std::mt19937_64 random(bosun::test::NewSeed());
  Alarms alarms;
  std::multiset<std::uint64_t> oracle;
  for (int step = 0; step < 20'000; ++step) {
    CHECK_EQ(alarms.empty(), oracle.empty());
    CHECK_EQ(alarms.size(), oracle.size());
    if (oracle.empty() || random() % 3 != 0) {
      const std::uint64_t due = random() % 1000;
      alarms.Push(At(due), Always);
      oracle.insert(due);
    } else {
      CHECK_EQ(alarms.front().due_us, *oracle.begin());
      const Alarm alarm = alarms.Pop();
      CHECK_EQ(alarm.due_us, *oracle.begin());
      oracle.erase(oracle.begin());
    }
  }
}

TEST(AnAlarmComesBackAsItWas) {
  Alarms alarms;
  alarms.Push({~std::uint64_t{0}, 1, 2, 3, AlarmKind::kPatience}, Always);
  alarms.Push({0, 4, 5, 6, AlarmKind::kRetry}, Always);
  const Alarm first = alarms.Pop();
  CHECK_EQ(first.slot, 4u);
  CHECK_EQ(first.order, 5u);
  CHECK_EQ(first.attempt, 6u);
  CHECK_EQ(first.kind, AlarmKind::kRetry);
  const Alarm last = alarms.Pop();
  CHECK_EQ(last.due_us, ~std::uint64_t{0});
  CHECK_EQ(last.kind, AlarmKind::kPatience);
  CHECK(alarms.empty());
}

TEST(WhatMeansNothingIsThrownAwayBeforeItPilesUp) {
  Alarms alarms;
  // Only the last hundred mean something.
  std::uint32_t next = 0;
  const auto valid = [&](const Alarm& alarm) { return alarm.slot + 100 >= next; };
  std::size_t most = 0;
  for (; next < 100'000; ++next) {
    alarms.Push(At(next % 777, next), valid);
    most = std::max(most, alarms.size());
  }
  CHECK(most <= 2048);
  alarms.Sweep(valid);
  CHECK(alarms.size() <= 101);
  std::uint64_t last = 0;
  while (!alarms.empty()) {
    const Alarm alarm = alarms.Pop();
    CHECK(alarm.due_us >= last);
    CHECK(valid(alarm));
    last = alarm.due_us;
  }
}

TEST(SweepsStaySeldomWhileAllOfThemMeanSomething) {
  Alarms alarms;
  std::uint64_t asked = 0;
  const auto valid = [&](const Alarm& /*alarm*/) { return ++asked > 0; };
  for (std::uint32_t i = 0; i < 100'000; ++i) alarms.Push(At(i), valid);
  CHECK_EQ(alarms.size(), 100'000u);
  CHECK(asked < 200'000);
}

TEST(AllOfAKindAreTakenAndTheRestKeepTheirOrder) {
  std::mt19937_64 random(7);
  Alarms alarms;
  std::multiset<std::uint64_t> others;
  std::set<std::uint32_t> retries;
  for (std::uint32_t slot = 0; slot < 500; ++slot) {
    const auto kind = static_cast<AlarmKind>(random() % 5);
    const std::uint64_t due = random() % 100;
    alarms.Push(At(due, slot, kind), Always);
    if (kind == AlarmKind::kRetry) {
      retries.insert(slot);
    } else {
      others.insert(due);
    }
  }
  alarms.TakeAll(AlarmKind::kRetry, [&](const Alarm& alarm) {
    CHECK_EQ(alarm.kind, AlarmKind::kRetry);
    CHECK_EQ(retries.erase(alarm.slot), 1u);
    // What takes them may set others.
    if (alarm.slot % 2 == 0) {
      alarms.Push(At(50, alarm.slot), Always);
      others.insert(50);
    }
  });
  CHECK(retries.empty());
  for (const std::uint64_t due : others) CHECK_EQ(alarms.Pop().due_us, due);
  CHECK(alarms.empty());
  alarms.TakeAll(AlarmKind::kRetry, [](const Alarm& /*alarm*/) { CHECK(false); });
}

}  // namespace

int main() { return bosun::test::RunAll(); }
