// `shoal worker`: what a keeper runs to have its mount served (worker_process.h). Not for people.
#pragma once

namespace shoal {

int RunWorkerCommand(int argc, const char* const* argv);

}  // namespace shoal
