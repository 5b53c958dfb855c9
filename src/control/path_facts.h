// What the store and the cache have of one path now.
#pragma once

#include <string>

#include "control/warmup_tasks.h"

namespace shoal {

struct PathFacts {
  bool is_directory = false;
  WarmCoverage coverage;
  // Of a file only.
  std::string key;
  std::string etag;
  std::string storage_class;
  std::string served;  // how a read of it would be served, for people
};

}  // namespace shoal
