#include "app/keeper_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "app/keeper_socket.h"
#include "base/log.h"
#include "control/runtime_directory.h"

namespace shoal {

KeeperFiles::KeeperFiles(MountState state)
    : directory_(StateDirectory(state.mount_point)), state_(std::move(state)) {
  state_.keeper_pid = getpid();
}

std::string KeeperFiles::state_path() const {
  // Until it is mounted, state.json may be another mount's.
  if (!is_published_ || lost_its_path_) return OwnStatePath(directory_, getpid());
  return directory_ + "/state.json";
}

std::string KeeperFiles::next_path() const {
  return directory_ + "/state.next.json";
}

Result<> KeeperFiles::Begin() {
  const FileDescriptor held = HoldRuntimeDirectory();
  RETURN_IF_ERROR(MakeStateDirectory(directory_));
  return WriteMountState(state_path(), state_);
}

Result<> KeeperFiles::Publish() {
  const FileDescriptor held = HoldRuntimeDirectory();
  const std::string own_path = state_path();
  is_published_ = true;
  if (rename(own_path.c_str(), state_path().c_str()) != 0)
    return Fail(Errc::kInvalid, "cannot write " + state_path());
  // What a keeper that was killed left is of another mount.
  unlink((directory_ + "/state.previous.json").c_str());
  unlink(next_path().c_str());
  ASSIGN_OR_RETURN(listening_, ListenForQuestions(directory_));
  return {};
}

void KeeperFiles::Note() {
  if (auto state = ReadMountState(state_path())) state_ = *std::move(state);
}

Result<> KeeperFiles::WriteNext(const std::string& json, bool is_rollback) {
  ASSIGN_OR_RETURN(const MountState next, ParseMountState(json));
  if (next.mount_point != state_.mount_point || next.source != state_.source)
    return Fail(Errc::kInvalid, "the options are of another mount");
  next_is_rollback_ = is_rollback;
  return WriteMountState(next_path(), next);
}

void KeeperFiles::TakeNext() {
  // The keeper does this, and not the command: one that is killed after the answer would leave the
  // update as what the next rollback goes back to.
  const std::string previous_path = directory_ + "/state.previous.json";
  unlink(previous_path.c_str());
  // At no moment there is no state.json.
  if (!next_is_rollback_ && link(state_path().c_str(), previous_path.c_str()) != 0)
    log::Warn("this update cannot be taken back: {}: {}", previous_path, std::strerror(errno));
  if (rename(next_path().c_str(), state_path().c_str()) != 0)
    log::Error("{} does not say how the mount is served now: {}", state_path(),
               std::strerror(errno));
  Note();
}

void KeeperFiles::DropNext() {
  unlink(next_path().c_str());
}

Result<> KeeperFiles::WriteAnew() {
  RETURN_IF_ERROR(MakeStateDirectory(directory_));
  RETURN_IF_ERROR(WriteMountState(state_path(), state_));
  if (lost_its_path_) return {};
  ASSIGN_OR_RETURN(listening_, ListenForQuestions(directory_));
  return {};
}

KeeperFiles::Found KeeperFiles::Secure() {
  const FileDescriptor held = HoldRuntimeDirectory();
  const auto found = ReadMountState(state_path());
  if (found && found->keeper_pid == getpid()) return Found::kOwn;
  lost_its_path_ = lost_its_path_ || found;
  if (const Result<> secured = WriteAnew(); !secured) log::Error("{}", secured.error().detail);
  return lost_its_path_ ? Found::kAnother : Found::kNothing;
}

void KeeperFiles::Remove() {
  const FileDescriptor held = HoldRuntimeDirectory();
  unlink(OwnStatePath(directory_, getpid()).c_str());
  const auto found = ReadMountState(directory_ + "/state.json");
  if (is_published_ && !lost_its_path_ && (!found || found->keeper_pid == getpid())) {
    for (const char* name : {"state.json", "state.previous.json", "state.next.json", "keeper.sock",
                             "admin.json", "admin.lock"}) {
      const std::string path = directory_ + "/" + name;
      unlink(path.c_str());
      unlink((path + ".new").c_str());  // of one that was killed when it wrote it
    }
  }
  rmdir(directory_.c_str());  // only if it is not another mount's
}

}  // namespace shoal
