// What a test knows of a dispatcher's tasks, workers and peers, see dispatch_model_unit.cc.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "dispatch_harness.h"

namespace bosun::test {

enum class Where : std::uint8_t { kWaiting, kSent, kHeld, kDelayed };

struct Known {
  std::uint32_t ticket = kNoTicket;
  std::uint32_t level = 0;
  std::uint32_t place = 0;
  std::uint64_t order = 0;
  std::uint64_t due_us = 0;  // while delayed
  std::uint32_t timeout_ms = 0;
  std::uint32_t slot = 0;  // while held
  std::uint16_t attempt = 1;
  Where where = Where::kWaiting;
  bool began = false;
  bool told_to_stop = false;
  bool lost = false;  // while held: the owner is to settle it
  int stopping_records = 0;
};

struct Running {
  Task task;
  bool ended = false;
};

struct WorkerModel {
  WorkerModel(Dispatcher& d, std::uint32_t number, std::uint32_t lane_count, std::uint32_t place)
      : end(d, number, true, true, place), number(number), place(place), lanes(lane_count) {}
  // Whether it may run a task of that place.
  bool Takes(std::uint32_t tasks_place) const { return tasks_place == 0 || tasks_place == place; }
  FakeWorker end;
  std::uint32_t number;
  std::uint32_t place;
  std::uint32_t scheduled = 0;
  std::map<std::uint32_t, std::uint64_t> id_of;  // by sequence
  std::vector<Task> buffered;
  std::vector<std::unique_ptr<Running>> lanes;
};

struct PeerModel {
  PeerModel(Dispatcher& d, std::uint32_t number) : end(d, number), number(number) {}
  FakePeer end;
  std::uint32_t number;
  std::uint32_t scheduled = 0;
  std::uint64_t task = 0;  // that it runs
  bool waits = false;      // for an answer to what it said
};

}  // namespace bosun::test
