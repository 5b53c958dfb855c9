// Where the keeper of a mount is asked to replace its worker: a socket in the mount's state
// directory, for root only. A question is a word and, behind a newline, a MountState; the answer
// comes when the mount is served so, or with the reason why it is not.
//
//   restart   with the state as it is
//   replace   with this state, by another process
//   change    with this state, by the process that serves: only for options that can change live
//   replace-back, change-back    the same, but what is served now is not kept as the state before
//
// The state comes with the question, and not in a file, so that whatever becomes of who asked,
// each question is answered by its own.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

// The keeper's end: a listening descriptor, not blocking, close-on-exec.
Result<FileDescriptor> ListenForQuestions(const std::string& directory);

// One who asked. Both are called once; Answer closes the connection.
struct Question {
  int fd = -1;
  std::string word;
  std::string state;  // JSON
};
// Empty word: nobody, or somebody who is not root.
Question TakeQuestion(int listening_fd);
void Answer(const Question& question, const Result<>& outcome);

// Whether somebody listens there. Asks nothing, and so does not wait for one that is at work.
bool IsKept(const std::string& directory);

// The other end. Waits for the answer for as long as a keeper may take that gives a worker
// `recovery_limit` to come up. kNotFound: nobody keeps that mount; kUnreachable: the keeper has no
// time, or ended; kUnsupported: it takes another process; kInvalid: its reason.
Result<> AskKeeper(const std::string& directory, std::string_view word, std::string_view state,
                   std::chrono::seconds recovery_limit);

}  // namespace shoal
