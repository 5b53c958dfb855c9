// What mount(8) and its helpers exit with, and so every command here.
#pragma once

namespace shoal {

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitUsage = 1;        // wrong command line, or not root
inline constexpr int kExitSystem = 2;       // out of memory, processes, descriptors
inline constexpr int kExitInterrupted = 8;  // by a signal, before anything was mounted
inline constexpr int kExitFailure = 32;     // the mount, or what was asked of it, failed

}  // namespace shoal
