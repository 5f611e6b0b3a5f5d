// QueueTable on one thread: handles, generations, pins that outlive a close, a full table. queue_stress.cc has the
// threads.
#include <cstdint>
#include <utility>
#include <vector>

#include "queue/queue_table.h"
#include "test/check.h"

using bosun::QueueHandle;
using bosun::QueueTable;

TEST(QueueTableOpensAcquiresAndCloses) {
  QueueTable& table = QueueTable::Instance();
  CHECK_EQ(&table, &QueueTable::Instance());
  const QueueHandle handle = table.Open(3);
  CHECK(handle != 0);
  CHECK(handle < std::uint64_t{1} << 53);
  {
    const auto pin = table.Acquire(handle);
    CHECK(static_cast<bool>(pin));
    CHECK_EQ(pin->levels(), 3u);
    pin->Push(2, 7);
  }
  CHECK(table.Close(handle));
  CHECK(!table.Close(handle));
  CHECK(!table.Acquire(handle));
}

TEST(QueueTableKeepsAClosedQueueForItsPins) {
  QueueTable& table = QueueTable::Instance();
  const QueueHandle handle = table.Open(1);
  {
    const auto pin = table.Acquire(handle);
    CHECK(table.Close(handle));
    CHECK(!table.Acquire(handle));
    pin->Push(0, 5);
    // The entry is not free yet, so a new queue gets another one.
    const QueueHandle other = table.Open(1);
    CHECK((other & 1023) != (handle & 1023));
    CHECK(table.Close(other));
    std::uint32_t value = 0;
    CHECK(pin->TryPopLevel(0, &value));
    CHECK_EQ(value, 5u);
  }
  CHECK(!table.Close(handle));
}

TEST(QueueTableNeverConfusesGenerations) {
  QueueTable& table = QueueTable::Instance();
  std::vector<QueueHandle> stale;
  for (int i = 0; i < 1000; ++i) {
    const QueueHandle handle = table.Open(1);
    for (const QueueHandle old : stale) {
      CHECK(old != handle);
      CHECK(!table.Acquire(old));
      CHECK(!table.Close(old));
    }
    CHECK(static_cast<bool>(table.Acquire(handle)));
    CHECK(table.Close(handle));
    stale.push_back(handle);
  }
}

TEST(QueueTableRefusesBadNumbers) {
  QueueTable& table = QueueTable::Instance();
  CHECK_EQ(table.Open(0), 0u);
  CHECK_EQ(table.Open(129), 0u);
  CHECK_EQ(table.Open(0xFFFFFFFF), 0u);
  for (const QueueHandle handle : {QueueHandle{0}, QueueHandle{1}, QueueHandle{1023}, ~QueueHandle{0},
                                   QueueHandle{1} << 52, QueueHandle{1} << 53, QueueHandle{1} << 63}) {
    CHECK(!table.Acquire(handle));
    CHECK(!table.Close(handle));
  }
}

TEST(QueueTableSaysWhenItIsFull) {
  QueueTable& table = QueueTable::Instance();
  std::vector<QueueHandle> handles;
  for (std::uint32_t i = 0; i < QueueTable::kMaxQueues; ++i) {
    handles.push_back(table.Open(1));
    CHECK(handles.back() != 0);
  }
  CHECK_EQ(table.Open(1), 0u);
  CHECK(table.Close(handles[500]));
  const QueueHandle again = table.Open(2);
  CHECK(again != 0);
  CHECK(again != handles[500]);
  CHECK(!table.Acquire(handles[500]));
  handles[500] = again;
  for (const QueueHandle handle : handles) {
    CHECK(table.Close(handle));
  }
}

TEST(QueueTablePinsMove) {
  QueueTable& table = QueueTable::Instance();
  const QueueHandle handle = table.Open(1);
  auto pin = table.Acquire(handle);
  {
    const QueueTable::Pin moved(std::move(pin));
    CHECK(static_cast<bool>(moved));
    CHECK(!pin);  // NOLINT(bugprone-use-after-move): that a moved pin is empty is the point.
    CHECK(table.Close(handle));
    moved->Push(0, 1);
  }
  CHECK_EQ(QueueTable::Pin().operator bool(), false);
}

int main() { return bosun::test::RunAll(); }
