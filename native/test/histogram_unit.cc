// The quantiles of a histogram against those of the sorted values.

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "check.h"
#include "dispatch/histogram.h"

namespace {

using bosun::Histogram;

constexpr std::uint64_t kMost = ~std::uint64_t{0};

// What a value may be told as: itself or up to a sixteenth more.
void CheckClose(std::uint64_t told, std::uint64_t value) {
  CHECK(told >= value);
  CHECK(told - value <= value / 16);
}

TEST(AnEmptyOneSaysZero) {
  const Histogram histogram;
  CHECK_EQ(histogram.count(), 0u);
  CHECK_EQ(histogram.max(), 0u);
  for (const double q : {0.0, 0.5, 1.0}) CHECK_EQ(histogram.Quantile(q), 0u);
}

TEST(TheExtremesHaveAPlace) {
  Histogram histogram;
  histogram.Add(0);
  CHECK_EQ(histogram.Quantile(0.5), 0u);
  CHECK_EQ(histogram.Quantile(1), 0u);
  histogram.Add(kMost);
  CHECK_EQ(histogram.count(), 2u);
  CHECK_EQ(histogram.max(), kMost);
  CHECK_EQ(histogram.Quantile(0), 0u);
  CHECK_EQ(histogram.Quantile(0.99), kMost);
  CHECK_EQ(histogram.Quantile(1), kMost);
}

TEST(SmallDurationsAreExact) {
  for (std::uint64_t us = 0; us < 32; ++us) {
    Histogram histogram;
    histogram.Add(us);
    histogram.Add(1000);
    CHECK_EQ(histogram.Quantile(0), us);
  }
}

TEST(EveryBucketIsAtMostASixteenthWide) {
  for (int bit = 0; bit < 64; ++bit) {
    for (int offset = -2; offset <= 2; ++offset) {
      const std::uint64_t us = (std::uint64_t{1} << bit) + static_cast<std::uint64_t>(offset);
      Histogram histogram;
      histogram.Add(us);
      // Alone it is the largest, and so exact.
      CHECK_EQ(histogram.Quantile(0), us);
      histogram.Add(kMost);
      CheckClose(histogram.Quantile(0), us);
    }
  }
}

TEST(QuantilesAreThoseOfTheSortedValues) {
  std::mt19937_64 random(bosun::test::NewSeed());
  for (int round = 0; round < 60; ++round) {
    Histogram histogram;
    std::vector<std::uint64_t> values(1 + random() % 1000);
    for (std::uint64_t& value : values) {
      value = random() >> (random() % 64);
      histogram.Add(value);
    }
    std::sort(values.begin(), values.end());
    CHECK_EQ(histogram.count(), values.size());
    CHECK_EQ(histogram.max(), values.back());
    for (const double q : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(q * static_cast<double>(values.size()));
      const std::uint64_t value = values[std::min(rank, values.size() - 1)];
      CheckClose(histogram.Quantile(q), value);
    }
  }
}

TEST(ResetForgetsEverything) {
  Histogram histogram;
  for (std::uint64_t us = 0; us < 1000; ++us) histogram.Add(us * us);
  histogram.Reset();
  CHECK_EQ(histogram.count(), 0u);
  CHECK_EQ(histogram.max(), 0u);
  CHECK_EQ(histogram.Quantile(0.5), 0u);
  histogram.Add(5);
  CHECK_EQ(histogram.Quantile(1), 5u);
  CHECK_EQ(histogram.count(), 1u);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
