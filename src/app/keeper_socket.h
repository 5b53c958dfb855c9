// Where the keeper of a mount is asked to replace its worker: a socket in the mount's state
// directory, for root only. A question is one word, and the answer comes when the new worker
// serves, or with the reason why it does not.
//
//   restart   with the state as it is
//   replace   with state.next.json, which then becomes state.json
//   change    the same, without another process: only for options that can change live
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

// The keeper's end: a listening descriptor, not blocking, close-on-exec.
Result<int> ListenForQuestions(const std::string& directory);

// One who asked. Both are called once; Answer closes the connection.
struct Question {
  int fd = -1;
  std::string word;
};
// Empty word: nobody, or somebody who is not root.
Question TakeQuestion(int listening_fd);
// The empty reason says that it was done.
void Answer(const Question& question, std::string_view reason);

// Whether somebody listens there. Asks nothing, and so does not wait for one that is at work.
bool IsKept(const std::string& directory);

// The other end. Waits for the answer. kNotFound: nobody keeps that mount; kUnreachable: the
// keeper has no time, or ended; kInvalid: its reason.
Result<> AskKeeper(const std::string& directory, std::string_view word);

}  // namespace shoal
