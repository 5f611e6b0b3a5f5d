// What workers say: frames in, tasks settled, messages into the inbox.

#include <algorithm>
#include <utility>

#include "dispatch/dispatcher.h"

namespace bosun {

template <class Decode>
Fault Dispatcher::Decoded(Connection& connection, Decode&& decode) noexcept {
  connection.stuck = false;
  connection.heard = ++heard_;
  Fault fault = Fault::kNone;
  receiving_ = &connection;
  const DecodeResult result = decode([&](std::uint8_t type, ByteSpan body) {
    fault = OnFrame(connection, type, body);
    return fault == Fault::kNone;
  });
  receiving_ = nullptr;
  return result == DecodeResult::kTooLarge ? Fault::kTooLarge : fault;
}

Fault Dispatcher::Receive(std::uint32_t handle, ByteSpan bytes) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return Fault::kStaleConnection;
  return Decoded(*connection, [&](auto&& sink) { return connection->decoder.Push(bytes, sink); });
}

std::span<std::uint8_t> Dispatcher::Wanted(std::uint32_t handle) noexcept {
  Connection* connection = Get(handle);
  return connection == nullptr ? std::span<std::uint8_t>() : connection->decoder.Wanted();
}

Fault Dispatcher::ReceiveWanted(std::uint32_t handle, std::size_t count) noexcept {
  Connection* connection = Get(handle);
  if (connection == nullptr) return Fault::kStaleConnection;
  return Decoded(*connection, [&](auto&& sink) { return connection->decoder.Filled(count, sink); });
}

Fault Dispatcher::OnFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept {
  if (connection.foreign) return OnForeignFrame(connection, type, body);
  if (connection.remote && (type == kExit || type == kClose)) return OnRemoteFrame(connection, type, body);
  if (!connection.greeted) {
    if (type == kHello) return OnHello(connection, body);
    if (type != kMessage && type != kStartFailed) return Fault::kOutOfPlace;
  }
  if (type >= kSchedule) return OnSchedule(connection, type - kSchedule, body);
  switch (type) {
    case kDone:
      return OnDone(connection, body);
    case kMessage:
      OnMessage(connection, body);
      return Fault::kNone;
    case kStartFailed: {
      Record record;
      record.worker = connection.worker;
      record.kind = KindFrom(connection, RecordKind::kStartFailed);
      completions_.Append(record, body);
      return Fault::kNone;
    }
    case kProgress:
      return OnProgress(connection, body);
    case kAwait:
    case kCancel:
    case kLetter:
      return OnNumber(connection, type, body);
    case kNext:  // it found nothing to begin: its tasks had been taken back
      connection.WasSlow();
      return Fault::kNone;
    case kHello:
      return Fault::kOutOfPlace;
    default:
      return Fault::kUnknownType;
  }
}

Fault Dispatcher::OnHello(Connection& connection, ByteSpan body) noexcept {
  if (body.size() < kHelloFields) return Fault::kMalformed;
  if (Load<std::uint16_t>(body.data()) != kProtocolVersion) return Fault::kMalformed;
  connection.greeted = true;
  Record record;
  record.worker = connection.worker;
  record.kind = RecordKind::kReady;
  completions_.Append(record, connection.remote ? body : ByteSpan{});
  return Fault::kNone;
}

Fault Dispatcher::OnRemoteFrame(Connection& connection, std::uint8_t type, ByteSpan body) noexcept {
  // Each is said once.
  if (type == kClose) {
    if (!body.empty()) return Fault::kMalformed;
    if (!connection.closing) SendClose(connection.handle, false);
    return Fault::kNone;
  }
  if (std::exchange(connection.exited, true)) return Fault::kOutOfPlace;
  Record record;
  record.worker = connection.worker;
  record.kind = KindFrom(connection, RecordKind::kWorkerExit);
  completions_.Append(record, body);
  return Fault::kNone;
}

Fault Dispatcher::OnDone(Connection& connection, ByteSpan body) noexcept {
  if (body.size() < kDoneFields) return Fault::kMalformed;
  const std::uint32_t sequence = Load<std::uint32_t>(body.data());
  const std::uint8_t status = body[4];
  const std::uint32_t run_us = Load<std::uint32_t>(body.data() + 5);
  if (status > static_cast<std::uint8_t>(DoneStatus::kCancelled)) return Fault::kMalformed;
  const auto flight = connection.FindFlight(sequence);
  if (flight == connection.in_flight.end()) return Fault::kBadSequence;
  const std::uint32_t slot = flight->slot;
  // Of one that waited it is not known how long it ran.
  const bool has_waited = flight->has_waited;
  ReleaseForks(connection, *flight);
  connection.in_flight.erase(flight);
  connection.WasQuick();
  if (options_.prefetch == 0 && !has_waited) connection.Learn(run_us, options_.concurrency);
  EndAttempt(connection, slot, static_cast<DoneStatus>(status), body.subspan(kDoneFields), run_us);
  return Fault::kNone;
}

Fault Dispatcher::OnSchedule(Connection& connection, std::uint32_t level, ByteSpan body) noexcept {
  if (level >= levels()) return Fault::kBadPriority;
  if (body.size() < kScheduleFields) return Fault::kMalformed;
  const std::uint32_t number = Load<std::uint32_t>(body.data());
  const bool awaited = (body[15] & kScheduleAwaited) != 0;
  const auto parent = connection.FindFlight(Load<std::uint32_t>(body.data() + 16));
  const bool has_parent = parent != connection.in_flight.end();
  if (awaited && has_parent && !BeginWait(connection, *parent)) {
    SendResult(connection, number, ResultStatus::kDeadlock, {}, {});
    return Fault::kNone;
  }
  Submission submission;
  if (awaited || has_parent) {
    submission.fork = forks_.Add(connection.handle, number);
    forks_[submission.fork].awaited = awaited;
    if (has_parent) forks_.Link(parent->first_fork, submission.fork, parent->sequence);
    connection.forks[number] = submission.fork;
  }
  submission.id = static_cast<std::uint64_t>(connection.worker) << 32 | number;
  submission.level = level;
  submission.timeout_ms = Load<std::uint32_t>(body.data() + 4);
  submission.deadline_ms = Load<std::uint32_t>(body.data() + 8);
  submission.max_retries = Load<std::uint16_t>(body.data() + 12);
  submission.max_crashes = body[14];
  submission.flags = (body[15] & kOwnersFlags) | (connection.remote ? kFlagForeign : 0);
  return Submit(submission, body.subspan(kScheduleFields)) ? Fault::kNone : Fault::kFull;
}

Fault Dispatcher::OnNumber(Connection& connection, std::uint8_t type, ByteSpan body) noexcept {
  if (body.size() < kNumberFields || (type != kLetter && body.size() > kNumberFields)) return Fault::kMalformed;
  const std::uint32_t number = Load<std::uint32_t>(body.data());
  if (type == kAwait) {
    Await(connection, number);
    return Fault::kNone;
  }
  const auto known = connection.forks.find(number);
  const std::uint32_t slot = known == connection.forks.end() ? kNoSlot : forks_[known->second].slot;
  if (slot == kNoSlot) return Fault::kNone;
  if (type == kCancel) {
    CancelSlot(slot);
  } else {
    SendLetter(slot, body.subspan(kNumberFields), connection.remote);
  }
  return Fault::kNone;
}

Fault Dispatcher::OnProgress(Connection& connection, ByteSpan body) noexcept {
  if (body.size() < kNumberFields) return Fault::kMalformed;
  const auto flight = connection.FindFlight(Load<std::uint32_t>(body.data()));
  if (flight == connection.in_flight.end()) return Fault::kBadSequence;
  const ByteSpan payload = body.subspan(kNumberFields);
  const TaskSlot& slot = slab_[flight->slot];
  if (slot.IsOwned()) {
    completions_.Append(RecordOf(flight->slot, KindFrom(connection, RecordKind::kProgress), connection.worker),
                        payload);
  } else if (slot.is_child) {
    const Fork& fork = forks_[slot.ticket];
    if (Connection* parent = Get(fork.connection))
      AppendNumbered(*parent, kProgress, fork.number, connection.remote, payload);
  }
  return Fault::kNone;
}

void Dispatcher::OnMessage(Connection& connection, ByteSpan body) noexcept {
  ++counts_.messages;
  ++connection.messages_received;
  unacknowledged_ = true;
  if (discarding_) {
    ++counts_.discarded;
    return;
  }
  Record record;
  record.worker = connection.worker;
  record.kind = connection.foreign || connection.remote ? RecordKind::kForeignMessage : RecordKind::kMessage;
  inbox_.Append(record, body);
}

void Dispatcher::Post(ByteSpan message) noexcept {
  ++counts_.messages;
  if (discarding_) {
    ++counts_.discarded;
    return;
  }
  Record record;
  record.kind = RecordKind::kMessage;
  inbox_.Append(record, message);
}

void Dispatcher::DiscardMessages() noexcept {
  counts_.discarded += inbox_.count();
  inbox_.Clear();
  discarding_ = true;
}

void Dispatcher::Acknowledge() noexcept {
  if (!unacknowledged_ || (!discarding_ && inbox_.count() > inbox_mark_)) return;
  unacknowledged_ = false;
  for (Entry& entry : connections_) {
    Connection* connection = entry.connection.get();
    if (connection == nullptr || connection->messages_accepted == connection->messages_received) continue;
    connection->messages_accepted = connection->messages_received;
    if (connection->foreign) {
      AppendFrame(connection->output.tail(), kMessage, 0);
    } else {
      Store(AppendFrame(connection->output.tail(), kAccepted, sizeof(std::uint32_t)), connection->messages_accepted);
    }
    MarkDirty(*connection);
  }
}

}  // namespace bosun
