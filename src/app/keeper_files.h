// What the keeper of a mount leaves in /run/shoal (mount_state.h): how the mount is served, for
// the next worker and for commands. Whatever becomes of the directory meanwhile, the keeper goes
// by what it last knew.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "app/mount_state.h"
#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

class KeeperFiles {
 public:
  // `state` without a keeper, which is this process.
  explicit KeeperFiles(MountState state);

  [[nodiscard]] const MountState& state() const { return state_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  // Where the worker finds how it is to serve: state.json once that is this mount's.
  [[nodiscard]] std::string state_path() const;
  // Of an update under way.
  [[nodiscard]] std::string next_path() const;

  // Makes the directory and writes the state.
  Result<> Begin();
  // It is mounted: state.json is this mount's, and who asks is heard.
  Result<> Publish();
  // Of ListenForQuestions, or -1.
  [[nodiscard]] int listening_fd() const { return listening_.get(); }
  void StopListening() { listening_ = {}; }
  // Reads what the worker wrote there.
  void Note();
  // Of an update, or of a rollback: next_path() is this state. kInvalid: it is none of this mount.
  Result<> WriteNext(const std::string& json, bool is_rollback);
  // It is what the mount is served with, and after an update state.previous.json what it was
  // served with before; or it is not.
  void TakeNext();
  void DropNext();

  // Another mount may have the path by now (after `umount -l`, or in another mount namespace), and
  // somebody may have emptied the directory: makes sure that state_path() is this mount's, and
  // listens anew.
  enum class Found : uint8_t { kOwn, kNothing, kAnother };
  Found Secure();

  // The mount has ended. What is the next mount's already stays.
  void Remove();

 private:
  Result<> WriteAnew();

  const std::string directory_;
  MountState state_;  // as it is served
  bool is_published_ = false;
  bool next_is_rollback_ = false;
  bool lost_its_path_ = false;  // state.json is another mount's
  FileDescriptor listening_;
};

}  // namespace shoal
