// Datagrams between sockets with paths: whole, in order, with their senders, and what the system refuses.

#include "process/datagram.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"

namespace {

using namespace bosun;

// A directory that goes with the test, and sockets in it.
class Scene {
 public:
  Scene() {
    char path[] = "/tmp/bosun-datagram-XXXXXX";
    CHECK(::mkdtemp(path) != nullptr);
    directory_ = path;
  }
  ~Scene() {
    for (const std::string& path : paths_) ::unlink(path.c_str());
    ::rmdir(directory_.c_str());
  }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  UniqueFd Bind(const std::string& name) {
    UniqueFd fd;
    CHECK_EQ(BindDatagram(Path(name), 1 << 18, fd), 0);
    paths_.push_back(Path(name));
    return fd;
  }

 private:
  std::string directory_;
  std::vector<std::string> paths_;
};

TEST(ArriveWholeInOrderWithTheirSender) {
  Scene scene;
  const UniqueFd from = scene.Bind("from");
  const UniqueFd to = scene.Bind("to");
  std::vector<std::uint8_t> memory(kMaxDatagram);
  Datagram datagram;
  CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), EAGAIN);
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, kMaxDatagram}) {
    const std::vector<std::uint8_t> bytes(length, 9);
    CHECK_EQ(SendDatagram(from.get(), bytes, scene.Path("to")), 0);
    CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), 0);
    CHECK_EQ(datagram.length, length);
    CHECK(length == 0 || memory[length - 1] == 9);
    CHECK(datagram.source == scene.Path("from"));
#if defined(SCM_CREDENTIALS)
    CHECK_EQ(datagram.pid, ::getpid());
    CHECK_EQ(datagram.uid, ::getuid());
#endif
  }
  for (std::uint8_t i = 0; i < 5; ++i) CHECK_EQ(SendDatagram(from.get(), {&i, 1}, scene.Path("to")), 0);
  for (std::uint8_t i = 0; i < 5; ++i) {
    CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), 0);
    CHECK_EQ(memory[0], i);
  }
}

TEST(ASenderWithoutAName) {
  Scene scene;
  const UniqueFd to = scene.Bind("to");
  const UniqueFd from = OpenDatagram();
  const std::uint8_t byte = 1;
  CHECK_EQ(SendDatagram(from.get(), {&byte, 1}, scene.Path("to")), 0);
  std::vector<std::uint8_t> memory(kMaxDatagram);
  Datagram datagram;
  CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), 0);
  CHECK(datagram.source.empty());
}

TEST(OneThatIsTooLongIsDropped) {
  Scene scene;
  const UniqueFd to = scene.Bind("to");
  const UniqueFd from = scene.Bind("from");
  const std::vector<std::uint8_t> bytes(kMaxDatagram + 1, 1);
  CHECK_EQ(SendDatagram(from.get(), bytes, scene.Path("to")), 0);
  std::vector<std::uint8_t> memory(kMaxDatagram);
  Datagram datagram;
  CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), EMSGSIZE);
  CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), EAGAIN);
}

TEST(NoRoomAndRoomAgain) {
  Scene scene;
  const UniqueFd from = scene.Bind("from");
  const UniqueFd to = scene.Bind("to");
  const std::uint8_t byte = 1;
  int count = 0;
  while (SendDatagram(from.get(), {&byte, 1}, scene.Path("to")) == 0) ++count;
  CHECK(count > 0);
  UniqueFd room;
  CHECK_EQ(ConnectDatagram(scene.Path("to"), room), 0);
  std::vector<std::uint8_t> memory(kMaxDatagram);
  Datagram datagram;
  for (int i = 0; i < count; ++i) CHECK_EQ(ReceiveDatagram(to.get(), memory.data(), datagram), 0);
  CHECK_EQ(SendDatagram(from.get(), {&byte, 1}, scene.Path("to")), 0);
}

TEST(PathsThatAreNone) {
  Scene scene;
  UniqueFd fd;
  const std::string longest(kMaxPath, 'x');
  for (const std::string& path : {std::string(), longest + "x", std::string("/tmp/a\0b", 8)}) {
    CHECK_EQ(BindDatagram(path, 1, fd), ENAMETOOLONG);
    CHECK_EQ(ConnectDatagram(path, fd), ENAMETOOLONG);
    CHECK_EQ(SendDatagram(0, {}, path), ENAMETOOLONG);
  }
  const UniqueFd there = scene.Bind("there");
  CHECK_EQ(BindDatagram(scene.Path("there"), 1, fd), EADDRINUSE);
  CHECK_EQ(SendDatagram(there.get(), {}, scene.Path("absent")), ENOENT);
}

}  // namespace

int main() { return bosun::test::RunAll(); }
