// A bucket, or the part of it below a prefix, as a FileSystem.
//
// Names come from listings and from HEAD requests. Whole listings are kept for those who
// open the directory again. A listing answers look-ups in its directory for a few seconds
// after that was opened, so `ls -l` costs no request an entry; an open asks the store once
// (close-to-open), unless the look-up of the same open just did.
//
// With the metadata cache, what a listing or a HEAD said of a name is believed until the
// cache is cleared: look-ups and opens of known names ask nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/option.h"
#include "fs/file_system.h"
#include "fs/hand_over.h"
#include "origin/object_store.h"
#include "read/read_engine.h"

namespace shoal {

struct FileSystemOptions {
  std::string prefix{};           // from SOURCE: "" or "a/b/"; not an option of its own
  uint64_t key_bytes_max = 1023;  // of the store; nor is this an option
  bool opens_go_unasked = false;  // reads come of files that no open named; set by who mounts
  // Of files and directories that the kernel holds references on. Of more it is given the names
  // alone by a listing, and asks for those that are opened. Set by who plans the memory.
  uint64_t inode_count_max = uint64_t{1} << 18;
  // Of listings that are not kept: those that are being read, or were a moment ago. Of more they
  // forget what has been read. Set by who plans the memory.
  uint64_t listing_bytes_max = 256 * kMiB;
  uint64_t name_valid_seconds = 1;
  bool metadata_cache = false;
  bool directory_cache = true;
  uint64_t directory_cache_entry_count_max = 20000;
  uint64_t directory_cache_size_bytes_max = 100 * kMiB;
  uint64_t directory_cache_valid_seconds = 3600;
  uint64_t deadline_seconds = 30;  // of work nobody waits for; from request_deadline
};

inline constexpr auto kFileSystemOptions = std::tuple{
    Option{"entry_timeout", &FileSystemOptions::name_valid_seconds, Unit::kSeconds,
           "How long the kernel trusts a name that a listing gave it; opening a file asks the "
           "bucket all the same"},
    Option{"g_metadata_CacheEnable", &FileSystemOptions::metadata_cache, Unit::kNone,
           "Believe what is known of names until that is cleared: opening a file asks the bucket "
           "nothing, and shows no change. Takes up to 256 MiB, for about a million names"},
    Option{"g_readdircache_Enable", &FileSystemOptions::directory_cache, Unit::kNone,
           "Keep directory listings, so that new files are shown after a while only"},
    Option{"g_readdircache_MaxCount", &FileSystemOptions::directory_cache_entry_count_max,
           Unit::kCount, "Most entries in all listings kept; a longer listing is not kept"},
    Option{"g_readdircache_MaxSize", &FileSystemOptions::directory_cache_size_bytes_max,
           Unit::kBytes, "Most memory for the listings kept"},
    Option{"g_readdircache_RemainTime", &FileSystemOptions::directory_cache_valid_seconds,
           Unit::kSeconds,
           "How long a listing is kept and, with the metadata cache, that a name is missing"},
};

// Pure.
DirectoryCacheLimits LimitsOf(const FileSystemOptions& options);

struct FileSystemMetrics {
  Counter hidden_keys{
      "shoal_hidden_keys_total",
      "Keys that no path can name, each time they are listed: they begin with /, or have an empty, "
      ". or .. component"};
};

// What is passed by reference outlives the file system. Directories and handles that
// `hand_over` was left are known from the start.
std::unique_ptr<FileSystem> MakeObjectFileSystem(const FileSystemOptions& options,
                                                 ObjectStore& store, ReadEngine& engine,
                                                 const Clock& clock, HandOver& hand_over,
                                                 FileSystemMetrics& metrics);

}  // namespace shoal
