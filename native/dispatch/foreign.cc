// What peers on a listening socket say: the reference dialogue, one request at a time, each answered before the next.
//
//     n empty       idle, next please          answered by t with a task, or empty when none waits
//     t empty       done, next please          likewise
//     m payload     a message for the inbox    answered by m when it is accepted
//     0x80 + p      schedule this task         answered by s when it is accepted
//
// A peer that does not wait for its answer is refused: nothing that it sends can pile up.

#include <algorithm>
#include <utility>

#include "dispatch/dispatcher.h"

namespace bosun {

Fault Dispatcher::OnForeignFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept {
  if (!connection.output.empty()) {
    // The answer to the request before this one has not even been written. A task in it was never seen by the peer.
    const bool has_task = connection.output.tail().data()[0] == kTask && connection.output.tail().size() > kHeaderBytes;
    if (has_task && !connection.in_flight.empty()) {
      const InFlight flight = connection.in_flight.back();
      connection.in_flight.pop_back();
      if (slab_[flight.slot].Has(kFlagStopAsked)) connection.LetGo(flight.sequence);
      Return(flight.slot, &Tally::sent);
      connection.output.Clear();
    }
    return Fault::kOutOfPlace;
  }
  const bool unanswered = connection.schedule_waits || connection.messages_accepted != connection.messages_received;
  if (unanswered) return Fault::kOutOfPlace;
  if (type >= kSchedule) return OnForeignSchedule(connection, type - kSchedule, body);
  switch (type) {
    case kNext:
      if (!body.empty()) return Fault::kMalformed;
      if (!connection.in_flight.empty()) return Fault::kOutOfPlace;
      AnswerForeign(connection);
      return Fault::kNone;
    case kDone: {
      if (!body.empty()) return Fault::kMalformed;
      if (connection.in_flight.empty()) return Fault::kOutOfPlace;
      const std::uint32_t slot = connection.in_flight.front().slot;
      connection.in_flight.pop_front();
      const std::uint64_t run_us = std::min<std::uint64_t>(now_us_ - connection.sent_us, 0xFFFFFFFF);
      EndAttempt(connection, slot, DoneStatus::kValue, {}, static_cast<std::uint32_t>(run_us));
      AnswerForeign(connection);
      return Fault::kNone;
    }
    case kMessage:
      if (body.empty()) return Fault::kMalformed;
      OnMessage(connection, body);
      return Fault::kNone;
    case kHello:
      return Fault::kOutOfPlace;
    default:
      return Fault::kUnknownType;
  }
}

void Dispatcher::AnswerForeign(Connection& connection) noexcept {
  // It has been sent its answer already: the request to close.
  if (connection.closing) return;
  MarkDirty(connection);
  const std::uint32_t slot = Pop();
  if (slot == kNoSlot) {
    AppendFrame(connection.output.tail(), kTask, 0);
  } else {
    connection.sent_us = now_us_;
    Send(connection, slot);
  }
}

Fault Dispatcher::OnForeignSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept {
  if (level >= levels()) return Fault::kBadPriority;
  if (body.empty()) return Fault::kMalformed;
  Submission submission = foreign_policy_;
  submission.id = static_cast<std::uint64_t>(connection.worker) << 32 | ++connection.scheduled;
  submission.level = level;
  submission.flags |= kFlagInboxErrors | kFlagForeign;
  if (!Submit(submission, body)) return Fault::kFull;
  // One that runs a task is answered at once: it could be the one that everybody waits for.
  connection.schedule_waits = connection.in_flight.empty() && counts_.waiting > options_.max_queue;
  if (connection.schedule_waits) {
    schedules_wait_ = true;
  } else {
    AppendFrame(connection.output.tail(), kScheduled, 0);
    MarkDirty(connection);
  }
  return Fault::kNone;
}

void Dispatcher::AnswerSchedules() noexcept {
  if (!schedules_wait_ || counts_.waiting > options_.max_queue) return;
  schedules_wait_ = false;
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr || !std::exchange(connection->schedule_waits, false)) continue;
    AppendFrame(connection->output.tail(), kScheduled, 0);
    MarkDirty(*connection);
  }
}

}  // namespace bosun
