#include "control/warmup_store.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

constexpr int kVersion = 1;
constexpr int kBusyMilliseconds = 2000;

// Paths and patterns are bytes, whatever their encoding.
constexpr char kTable[] =
    "CREATE TABLE tasks (id INTEGER PRIMARY KEY, path BLOB NOT NULL, pattern BLOB NOT NULL,"
    " is_directory INTEGER NOT NULL, status INTEGER NOT NULL, completed_bytes INTEGER NOT NULL,"
    " total_bytes INTEGER NOT NULL, completed_object_count INTEGER NOT NULL,"
    " total_object_count INTEGER NOT NULL, submitted_unix_micros INTEGER NOT NULL,"
    " ended_unix_micros INTEGER NOT NULL, error_code INTEGER NOT NULL,"
    " error_message BLOB NOT NULL)";
constexpr char kSelect[] =
    "SELECT id, path, pattern, is_directory, status, completed_bytes, total_bytes,"
    " completed_object_count, total_object_count, submitted_unix_micros, ended_unix_micros,"
    " error_code, error_message FROM tasks ORDER BY id";
constexpr char kReplace[] = "REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kDelete[] = "DELETE FROM tasks WHERE id = ?";

std::string BytesOf(sqlite3_stmt* row, int column) {
  const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(row, column));
  const auto count = static_cast<size_t>(sqlite3_column_bytes(row, column));
  return bytes == nullptr ? std::string() : std::string(bytes, count);
}

WarmupTask TaskOf(sqlite3_stmt* row) {
  const auto number = [row](int column) { return sqlite3_column_int64(row, column); };
  const auto count = [&](int column) { return static_cast<uint64_t>(number(column)); };
  WarmupTask task;
  task.id = count(0);
  task.path = BytesOf(row, 1);
  task.pattern = BytesOf(row, 2);
  task.is_directory = number(3) != 0;
  task.status = static_cast<WarmupTask::Status>(number(4));
  task.completed_bytes = count(5);
  task.total_bytes = count(6);
  task.completed_object_count = count(7);
  task.total_object_count = count(8);
  task.submitted_unix_micros = number(9);
  task.ended_unix_micros = number(10);
  task.error_code = static_cast<int>(number(11));
  task.error_message = BytesOf(row, 12);
  return task;
}

void Bind(sqlite3_stmt* statement, const WarmupTask& task) {
  int column = 0;
  const auto number = [&](auto value) {
    sqlite3_bind_int64(statement, ++column, static_cast<sqlite3_int64>(value));
  };
  const auto bytes = [&](std::string_view value) {
    // Not null, also when empty; the text outlives the step.
    sqlite3_bind_blob64(statement, ++column, value.data(), value.size(), SQLITE_STATIC);
  };
  number(task.id);
  bytes(task.path);
  bytes(task.pattern);
  number(task.is_directory);
  number(task.status);
  number(task.completed_bytes);
  number(task.total_bytes);
  number(task.completed_object_count);
  number(task.total_object_count);
  number(task.submitted_unix_micros);
  number(task.ended_unix_micros);
  number(task.error_code);
  bytes(task.error_message);
}

}  // namespace

void WarmupStore::CloseDatabase::operator()(sqlite3* database) const {
  sqlite3_close(database);
}
void WarmupStore::FinalizeStatement::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

WarmupStore::WarmupStore(std::string file, Missing missing)
    : file_(std::move(file)), missing_(missing) {}

Result<std::vector<WarmupTask>> WarmupStore::Load() {
  if (missing_ == Missing::kLeave && access(file_.c_str(), F_OK) != 0 && errno == ENOENT)
    return std::vector<WarmupTask>();
  const auto load = [this]() -> Result<std::vector<WarmupTask>> {
    RETURN_IF_ERROR(Open());
    return ReadAll();
  };
  Result<std::vector<WarmupTask>> tasks = load();
  if (tasks) return tasks;
  if (tasks.error().code != Errc::kCorrupt) {
    database_.reset();
    return tasks;
  }
  PutAside(tasks.error().detail);
  return std::vector<WarmupTask>();
}

Result<> WarmupStore::Save(std::span<const WarmupTask> changed, std::span<const uint64_t> gone) {
  Result<> saved = Open();
  if (saved) saved = WriteAll(changed, gone);
  if (saved) return saved;
  if (saved.error().code == Errc::kCorrupt) PutAside(saved.error().detail);
  database_.reset();  // which undoes what was begun; the next call opens it anew
  return saved;
}

Result<> WarmupStore::Open() {
  if (database_ != nullptr) return {};
  const std::filesystem::path directory = std::filesystem::path(file_).parent_path();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error) std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  // A link on the way there is whose who chose the directory; the file is to be none.
  const std::filesystem::path real =
      error ? directory : std::filesystem::canonical(directory, error);
  if (error) return Fail(Errc::kUnreachable, directory.string() + ": " + error.message());
  const std::string file = real / std::filesystem::path(file_).filename();
  sqlite3* opened = nullptr;
  const int status =
      sqlite3_open_v2(file.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                          SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
                      nullptr);
  database_.reset(opened);
  if (status != SQLITE_OK) return Failed("cannot be opened");
  // Names of objects are nobody else's business. SQLite gives its other files the same mode.
  if (chmod(file_.c_str(), S_IRUSR | S_IWUSR) != 0)
    return Fail(Errc::kUnreachable, file_ + ": chmod: " + std::strerror(errno));
  sqlite3_busy_timeout(database_.get(), kBusyMilliseconds);
  // Exclusive: without it the log's index is memory shared through a file, which ends the
  // process when its disk fails.
  RETURN_IF_ERROR(Run("PRAGMA locking_mode = EXCLUSIVE"));
  RETURN_IF_ERROR(Run("PRAGMA journal_mode = WAL"));
  RETURN_IF_ERROR(Run("PRAGMA synchronous = FULL"));
  return PrepareTable();
}

Result<> WarmupStore::PrepareTable() {
  RETURN_IF_ERROR(Run("BEGIN EXCLUSIVE"));
  ASSIGN_OR_RETURN(const Statement row, Prepare("PRAGMA user_version"));
  if (sqlite3_step(row.get()) != SQLITE_ROW) return Failed("has no version");
  const int version = sqlite3_column_int(row.get(), 0);
  sqlite3_reset(row.get());
  if (version == 0) {
    RETURN_IF_ERROR(Run(kTable));
    RETURN_IF_ERROR(Run(("PRAGMA user_version = " + std::to_string(kVersion)).c_str()));
  } else if (version != kVersion) {
    return Fail(Errc::kCorrupt, "it is of version " + std::to_string(version));
  }
  return Run("COMMIT");
}

Result<std::vector<WarmupTask>> WarmupStore::ReadAll() {
  ASSIGN_OR_RETURN(const Statement check, Prepare("PRAGMA quick_check(1)"));
  if (sqlite3_step(check.get()) != SQLITE_ROW) return Failed("cannot be checked");
  if (const std::string verdict = BytesOf(check.get(), 0); verdict != "ok")
    return Fail(Errc::kCorrupt, verdict);
  ASSIGN_OR_RETURN(const Statement row, Prepare(kSelect));
  std::vector<WarmupTask> tasks;
  int status = SQLITE_ROW;
  while ((status = sqlite3_step(row.get())) == SQLITE_ROW) {
    tasks.push_back(TaskOf(row.get()));
    if (tasks.back().status > WarmupTask::Status::kFailed)
      return Fail(Errc::kCorrupt, "a task has no status");
  }
  if (status != SQLITE_DONE) return Failed("cannot be read");
  return tasks;
}

Result<> WarmupStore::WriteAll(std::span<const WarmupTask> changed,
                               std::span<const uint64_t> gone) {
  RETURN_IF_ERROR(Run("BEGIN"));
  ASSIGN_OR_RETURN(const Statement replace, Prepare(kReplace));
  for (const WarmupTask& task : changed) {
    Bind(replace.get(), task);
    if (sqlite3_step(replace.get()) != SQLITE_DONE) return Failed("cannot be written");
    sqlite3_reset(replace.get());
  }
  ASSIGN_OR_RETURN(const Statement remove, Prepare(kDelete));
  for (const uint64_t id : gone) {
    sqlite3_bind_int64(remove.get(), 1, static_cast<sqlite3_int64>(id));
    if (sqlite3_step(remove.get()) != SQLITE_DONE) return Failed("cannot be written");
    sqlite3_reset(remove.get());
  }
  return Run("COMMIT");
}

Result<> WarmupStore::Run(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return Failed(sql);
}

Result<WarmupStore::Statement> WarmupStore::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) != SQLITE_OK)
    return Failed(sql);
  return Statement(statement);
}

tl::unexpected<Error> WarmupStore::Failed(const std::string& what) const {
  const int code = database_ == nullptr ? SQLITE_NOMEM : sqlite3_errcode(database_.get()) & 0xff;
  // A table that is not ours is damage as well: what is wrong with our SQL, tests would see.
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
  const char* const why = database_ == nullptr ? "no memory" : sqlite3_errmsg(database_.get());
  return Fail(damaged ? Errc::kCorrupt : Errc::kUnreachable, file_ + ": " + what + ": " + why);
}

void WarmupStore::PutAside(const std::string& why) {
  database_.reset();
  const std::string aside = file_ + ".damaged";
  log::Warn("the warm-up tasks in {} cannot be used, and are put aside as {}: {}", file_, aside,
            log::Printable(why));
  if (rename(file_.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    log::Warn("{}: rename: {}", file_, std::strerror(errno));
  // Of the log nothing is to go into the new file.
  for (const char* const suffix : {"-wal", "-shm", "-journal"})
    (void)unlink((file_ + suffix).c_str());
}

}  // namespace shoal
