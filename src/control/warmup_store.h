// The tasks and their history in a file: an SQLite database of one table, written ahead
// (WAL), so that a task is either in it or not, whenever the process or the machine ends.
//
// Used by one thread at a time. Its calls wait for the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/warmup_tasks.h"

struct sqlite3;
struct sqlite3_stmt;

namespace shoal {

class WarmupStore {
 public:
  enum class Missing : uint8_t { kMake, kLeave };

  // A file of this mount and bucket alone; it is made when it is needed, and its directory, which
  // becomes the owner's alone. `missing`: of one that is not there, whether loading makes it.
  explicit WarmupStore(std::string file, Missing missing = Missing::kMake);

  // All that it holds. A file that is damaged, or of another version of this program, is put
  // aside with a warning: then there is nothing. kUnreachable: it cannot be read, or is
  // another process's.
  Result<std::vector<WarmupTask>> Load();

  // Adds or replaces `changed` and removes `gone`: all, or nothing if it fails. It is on the
  // disk when this returns. kCorrupt: the file was found damaged and put aside, and all tasks
  // are to be saved again; kUnreachable as above.
  Result<> Save(std::span<const WarmupTask> changed, std::span<const uint64_t> gone);

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

  Result<> Open();
  Result<> PrepareTable();
  Result<> Run(const char* sql);
  Result<Statement> Prepare(const char* sql);
  Result<std::vector<WarmupTask>> ReadAll();
  Result<> WriteAll(std::span<const WarmupTask> changed, std::span<const uint64_t> gone);
  // The database's last error; kCorrupt if it is the file's.
  [[nodiscard]] tl::unexpected<Error> Failed(const std::string& what) const;
  void PutAside(const std::string& why);

  const std::string file_;
  const Missing missing_;
  std::unique_ptr<sqlite3, CloseDatabase> database_;  // null: not open
};

}  // namespace shoal
